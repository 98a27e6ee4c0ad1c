"""How the CPU twins are compiled: numba's options, its threads and its disk cache, in one place."""

from __future__ import annotations

import os
import tempfile
from hashlib import sha1
from pathlib import Path

# Read by numba and OpenMP as they start. Level 2 compiles in six sevenths of the time of level 3 to code as fast. Threads
# that wait must sleep: where processes share the cores, those that spin hold up the ones that are waited for.
os.environ.setdefault("NUMBA_OPT", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numba
from numba import config, prange

from gpujw import dq

__all__ = ["kernel", "helper", "prange"]


def _cache_folder() -> Path | None:
    """A folder for compiled code, its name a hash of what kernels of several files share.

    numba compiles anew when a kernel's own file was edited, but does not see edits in the files that it inlines: shared
    functions live in ``_*.py``, the bits in ``gpujw/dq.py``.
    """
    sources = [*sorted(Path(__file__).parent.glob("_*.py")), Path(dq.__file__)]
    version = sha1(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for root in (home, Path(tempfile.gettempdir()) / f"gpujw-{os.getuid()}"):
        folder = root / "gpujw" / "numba" / version
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


_FOLDER = _cache_folder()
if _FOLDER is not None:
    config.CACHE_DIR = str(_FOLDER)
# omp and tbb let several Python threads call parallel kernels at once; workqueue does not.
config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]

_OPTIONS = {"nogil": True, "cache": _FOLDER is not None, "error_model": "numpy"}

#: A kernel: parallel over pixels or rows with ``prange``; releases the GIL so that readers and writers run beside it.
kernel = numba.njit(parallel=True, **_OPTIONS)
#: A function that kernels call, or a loop too short to split.
helper = numba.njit(**_OPTIONS)
