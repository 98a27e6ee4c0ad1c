"""Where arrays live decides what runs on them: CuPy arrays use ``kernels``, NumPy arrays ``cpu_fallback``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from gpujw.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from types import ModuleType

#: Fourier transforms that a device does at once.
FFT_BATCH = 4


@dataclass(frozen=True)
class Backend:
    """An array namespace and the kernels written for it."""

    name: str
    xp: Any
    package: str

    def kernel(self, stem: str) -> ModuleType:
        """The module of this backend that holds the operation ``stem``."""
        return import_module(f"{self.package}.{stem}")

    @property
    def fft_workers(self) -> int:
        """How many Fourier transforms are done at once."""
        import numba

        return int(numba.get_num_threads()) if self.xp is np else FFT_BATCH

    def rfft(self, array: Any) -> Any:
        """Fourier transforms of real series along the last axis, ``[..., n // 2 + 1]``, in the array's precision."""
        import scipy.fft

        return scipy.fft.rfft(array, workers=self.fft_workers) if self.xp is np else self.xp.fft.rfft(array)

    def irfft(self, array: Any, n: int) -> Any:
        """The inverse of ``rfft``, series of ``n``; ``array`` is used up."""
        import scipy.fft

        if self.xp is np:
            return scipy.fft.irfft(array, n, overwrite_x=True, workers=self.fft_workers)
        return self.xp.fft.irfft(array, n)


@cache
def cpu() -> Backend:
    """NumPy arrays; ``GPUJW_CPU=numpy`` runs the plain NumPy references instead of the numba twins."""
    choice = os.environ.get("GPUJW_CPU", "numba")
    if choice not in ("numba", "numpy"):
        raise UsageError(f"GPUJW_CPU={choice!r}: allowed are 'numba' (the default) and 'numpy'")
    return Backend("cpu", np, "gpujw.cpu_fallback" if choice == "numba" else "gpujw.cpu_fallback.reference")


@cache
def cuda() -> Backend:
    """CuPy arrays."""
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            f"CuPy cannot be imported ({error}): pip install 'gpujw[cuda12]' or 'gpujw[cuda13]'"
        ) from error
    return Backend("cuda", cupy, "gpujw.kernels")


def of(*arrays: Any) -> Backend:
    """The backend that owns ``arrays``; they must all live in one place."""
    homes = {type(array).__module__.split(".")[0] for array in arrays}
    if homes == {"numpy"}:
        return cpu()
    if homes == {"cupy"}:
        return cuda()
    raise TypeError(f"arrays of one call must live in one place, these live in {sorted(homes)}; only io moves arrays")


def device_count() -> int:
    """How many CUDA devices can be used; 0 where CuPy or the driver is missing."""
    try:
        return int(cuda().xp.cuda.runtime.getDeviceCount())
    except Exception:  # noqa: BLE001  a missing driver raises CuPy's own class, a missing CuPy ours
        return 0


def resolve(device: str) -> tuple[str, ...]:
    """The homes named by ``--device``: ``"auto"``, ``"cpu"``, ``"0"`` or ``"0,1"``."""
    if device == "auto":
        return tuple(str(i) for i in range(device_count())) or ("cpu",)
    if device == "cpu":
        return ("cpu",)
    if not all(part.isdigit() for part in device.split(",")):
        raise UsageError(
            f"--device {device!r}: allowed are 'auto', 'cpu', a number such as '0', or a list such as '0,1'"
        )
    wanted = tuple(dict.fromkeys(device.split(",")))
    found = device_count()
    absent = [i for i in wanted if int(i) >= found]
    if absent:
        hint = "use --device cpu" if found == 0 else f"there are {found}: 0 to {found - 1}"
        raise DeviceError(f"--device {device}: no CUDA device {', '.join(absent)} on this machine; {hint}")
    return wanted


def open(home: str) -> Backend:
    """The backend of one home named by :func:`resolve`; makes that CUDA device the current one."""
    if home == "cpu":
        return cpu()
    backend = cuda()
    backend.xp.cuda.Device(int(home)).use()
    return backend
