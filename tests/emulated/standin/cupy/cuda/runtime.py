"""The few calls of the CUDA runtime that a program makes by itself."""

from __future__ import annotations

cudaErrorMemoryAllocation = 2  # noqa: N816  CUDA's spelling
cudaErrorInvalidDevice = 101  # noqa: N816
_MESSAGES = {
    cudaErrorMemoryAllocation: "cudaErrorMemoryAllocation: out of memory",
    cudaErrorInvalidDevice: "cudaErrorInvalidDevice: invalid device ordinal",
    700: "cudaErrorIllegalAddress: an illegal memory access was encountered",
    719: "cudaErrorLaunchFailure: unspecified launch failure",
}


class CUDARuntimeError(RuntimeError):
    """An error of the device, known by its number."""

    def __init__(self, status):
        self.status = int(status)
        super().__init__(_MESSAGES.get(self.status, f"cudaError {self.status}"))

    def __reduce__(self):
        return type(self), (self.status,)


def getDeviceCount():  # noqa: N802  CUDA's spelling, as all below
    from cupy.cuda.device import COUNT

    return COUNT


def getDevice():  # noqa: N802
    from cupy.cuda.device import get_device_id

    return get_device_id()


def setDevice(device):  # noqa: N802
    from cupy.cuda.device import Device

    Device(device).use()


def memGetInfo():  # noqa: N802
    from cupy.cuda.device import Device

    return Device().mem_info


def getDeviceProperties(device):  # noqa: N802
    """Some of what CuPy tells of a device; an H100's where it matters."""
    from cupy.cuda.device import MEMORY, Device

    return {
        "name": f"emulated device {Device(device).id}".encode(),
        "totalGlobalMem": MEMORY,
        "major": 9,
        "minor": 0,
        "multiProcessorCount": 132,
        "maxThreadsPerMultiProcessor": 2048,
        "maxThreadsPerBlock": 1024,
        "regsPerBlock": 65536,
        "sharedMemPerBlock": 48 << 10,
        "sharedMemPerBlockOptin": 227 << 10,
        "sharedMemPerMultiprocessor": 228 << 10,
        "l2CacheSize": 50 << 20,
        "warpSize": 32,
        "clockRate": 1_980_000,
        "memoryClockRate": 2_619_000,
        "memoryBusWidth": 5120,
        "asyncEngineCount": 3,
        "ECCEnabled": 1,
        "integrated": 0,
        "pciBusID": 0,
        "pciDeviceID": 0,
        "pciDomainID": 0,
    }


def deviceSynchronize():  # noqa: N802
    from cupy.cuda.stream import finish_all

    finish_all()


def runtimeGetVersion():  # noqa: N802
    return 12080


def driverGetVersion():  # noqa: N802
    return 12080
