"""The CUDA sources and their launchers, run on this CPU: plainly, and under the sanitizers.

Each run is a pytest of its own with ``--device emulated``: the stand-in for CuPy must come before a real one, and a
sanitizer before Python. Threads run forward, in reverse and shuffled, one order a run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
STANDIN = TESTS / "emulated" / "standin"
# What ThreadSanitizer has something to say of; it is slow, and needs no telling of kernels whose threads never meet.
MEETING = re.compile(r"GJ_SHARED|GJ_DYN_SHARED|atomic[A-Z]|__syncthreads|_sync\(")
INSTALL = "apt-get install g++ (Debian, Ubuntu) or dnf install gcc-c++ libasan libubsan libtsan (Fedora)"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def runtime(name):
    """The path of one of g++'s runtime libraries."""
    if not shutil.which("g++"):
        pytest.fail(f"the CUDA sources are tested by compiling them with g++, which was not found: {INSTALL}")
    done = subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    if not Path(done.stdout.strip()).is_absolute():
        pytest.fail(f"g++ has no {name}: {INSTALL}")
    return done.stdout.strip()


def settings(mode):
    """Environment variables of a process that runs kernels in this mode."""
    if mode == "asan":
        own = {
            "LD_PRELOAD": f"{runtime('libasan.so')} {runtime('libubsan.so')}",
            "ASAN_OPTIONS": "detect_leaks=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "GPUJW_EMULATE_ORDER": "reverse",
        }
    elif mode == "tsan":
        own = {
            "LD_PRELOAD": runtime("libtsan.so"),
            "TSAN_OPTIONS": "halt_on_error=1:exitcode=66",
            "GPUJW_EMULATE_ORDER": "shuffled",
        }
    else:
        runtime("libgomp.so")
        own = {"GPUJW_EMULATE_ORDER": "forward"}
    checked = {} if mode == "fast" else ONE_THREAD
    return {**os.environ, **checked, **own, "GPUJW_EMULATE": mode, "PYTHONDONTWRITEBYTECODE": "1"}


@cache
def prefix(mode):
    """ThreadSanitizer of some compilers needs memory at fixed places, which the kernel must then not shuffle."""
    if mode != "tsan":
        return ()
    for start in ((), ("setarch", "-R")):
        if subprocess.run([*start, sys.executable, "-c", ""], env=settings(mode), check=False).returncode == 0:
            return start
    pytest.fail(
        "ThreadSanitizer does not start, with or without `setarch -R`: try sysctl vm.mmap_rnd_bits=28, "
        "or in a container --security-opt seccomp=unconfined"
    )
    return ()


def python(mode, *arguments, **environment):
    """Run Python in this mode; its exit status and all that it said."""
    command = [*prefix(mode), sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**settings(mode), **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def selection(mode):
    """All tests plainly; those of kernels and of the emulator's CUDA under a sanitizer."""
    if mode == "fast":
        return [TESTS]
    sources = sorted((ROOT / "kernels").glob("*.cu"))
    watched = [path.stem for path in sources if mode == "asan" or MEETING.search(path.read_text())]
    files = [TESTS / "kernels" / f"test_{stem}.py" for stem in watched]
    return [TESTS / "emulated" / "test_cuda.py", *(file for file in files if file.exists())]


@pytest.fixture(scope="module")
def runs():
    """A pytest in each mode, the longest first, two at a time: a sanitizer keeps one core busy."""
    options = ["-v", "-s", "--device", "emulated", "-m", "not parity and not faults", "-p", "no:cacheprovider"]
    with ThreadPoolExecutor(2) as pool:
        yield {
            mode: pool.submit(python, mode, "-m", "pytest", *options, *map(str, selection(mode)))
            for mode in ("asan", "tsan", "fast")
        }


@pytest.mark.emulated
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", ["asan", "tsan", "fast"])
def test_kernels_on_the_cpu(mode, runs):
    status, said = runs[mode].result()
    assert status == 0, f"pytest --device emulated, GPUJW_EMULATE={mode}:\n{said[-20000:]}"


BUGS = [
    ("asan", "past_the_end", (2, 32, 63, 0), "AddressSanitizer: heap-buffer-overflow"),
    ("asan", "past_shared", (1, 96, 64, 0), "index 95 out of bounds for type 'float [64]'"),
    ("asan", "before_dynamic", (1, 64, 64, 256), "AddressSanitizer: heap-buffer-overflow"),
    ("asan", "overflow", (1, 1, 1 << 20, 0), "runtime error: signed integer overflow"),
    ("asan", "nan_to_integer", (1, 1, 0, 0), "runtime error: -nan is outside the range of representable values"),
    ("asan", "misaligned", (1, 1, 0, 0), "runtime error: load of misaligned address"),
    ("tsan", "race_in_shared", (1, 64, 64, 0), "ThreadSanitizer: data race"),
    ("tsan", "race_in_global", (2, 64, 63, 0), "ThreadSanitizer: data race"),
]
PLANTED = """
import sys, cupy, numpy
from pathlib import Path
name, grid, block, n, shared = sys.argv[1], *map(int, sys.argv[2:])
code = '#line 1 "bugs.cu"\\n' + Path("tests/emulated/bugs.cu").read_text()
kernel = cupy.RawModule(code=code, options=("-Ikernels", "-std=c++17", "--fmad=false")).get_function(name)
whole = cupy.zeros(200, "f4")
kernel((grid,), (block,), (whole[:63], numpy.int32(n)), shared_mem=shared)
print("nothing found")
"""


@pytest.mark.emulated
@pytest.mark.parametrize(("mode", "bug", "call", "report"), BUGS, ids=[bug[1] for bug in BUGS])
def test_planted_bugs_are_found(mode, bug, call, report):
    status, said = python(mode, "-c", PLANTED, bug, *map(str, call), PYTHONPATH=str(STANDIN))
    assert status != 0, said
    assert report in said
    assert "bugs.cu:" in said


def test_stand_in_has_what_cupy_has():
    command = [sys.executable, str(TESTS / "emulated" / "surface.py"), "--print"]
    installed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    recorded = json.loads((STANDIN / "cupy" / "surface.json").read_text())
    if installed["version"] != recorded["version"]:
        pytest.skip(f"surface.json lists CuPy {recorded['version']}, installed is {installed['version']}")
    assert installed == recorded, "python tests/emulated/surface.py writes the list anew"
