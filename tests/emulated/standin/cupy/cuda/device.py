"""Devices: ``GPUJW_EMULATE_DEVICES`` of them (1), each with ``GPUJW_EMULATE_MEMORY`` bytes (4 GiB)."""

from __future__ import annotations

import os
import threading

from cupy.cuda.runtime import CUDARuntimeError, cudaErrorInvalidDevice

COUNT = int(os.environ.get("GPUJW_EMULATE_DEVICES", "1"))
MEMORY = int(os.environ.get("GPUJW_EMULATE_MEMORY", str(4 << 30)))
_current = threading.local()


def get_device_id():
    return getattr(_current, "id", 0)


class Device:
    """A device; ``use`` makes it this thread's current one, ``with`` does so for a while."""

    def __init__(self, device=None):
        self.id = get_device_id() if device is None else int(device)
        if not 0 <= self.id < COUNT:
            raise CUDARuntimeError(cudaErrorInvalidDevice)
        self._outer = []

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self):
        return self.id

    def __int__(self):
        return self.id

    def __enter__(self):
        self._outer.append(get_device_id())
        self.use()
        return self

    def __exit__(self, *_):
        _current.id = self._outer.pop()

    def use(self):
        _current.id = self.id

    def synchronize(self):
        from cupy.cuda.stream import finish_all

        finish_all()

    @property
    def mem_info(self):
        """Bytes free and in all."""
        from cupy.cuda.memory import pool_of

        return MEMORY - pool_of(self.id).total_bytes(), MEMORY

    @property
    def compute_capability(self):
        return "90"

    @property
    def attributes(self):
        return {"MultiProcessorCount": 132, "MaxThreadsPerBlock": 1024, "MaxSharedMemoryPerBlock": 48 << 10}
