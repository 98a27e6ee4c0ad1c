"""Device memory in CuPy's way: a pool that keeps what is freed, blocks of 512 bytes, a limit that raises."""

from __future__ import annotations

import threading
from functools import cache

from cupy.cuda import device

BLOCK = 512


class OutOfMemoryError(MemoryError):
    """An allocation that the pool's limit or the device does not allow."""

    def __init__(self, size, total, limit=0):
        self._args = size, total, limit
        text = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
        super().__init__(text + (f", limit set to: {limit:,} bytes)." if limit else ")."))

    def __reduce__(self):
        return type(self), self._args


class MemoryPool:
    """The bytes in use on one device, those kept for reuse, and the most there have been."""

    def __init__(self, allocator=None):
        self._lock = threading.RLock()
        self._used = self._total = self._limit = 0
        self.peak_bytes = 0  # the stand-in's own, for tests of a program's memory

    def _take(self, size):
        with self._lock:
            if self._used + size > self._total:
                self._grow(size)
            self._used += size
            self.peak_bytes = max(self.peak_bytes, self._used)

    def _grow(self, size):
        ceiling = min(self._limit or device.MEMORY, device.MEMORY)
        if self._used + size > ceiling:
            raise OutOfMemoryError(size, self._total, self._limit)
        self._total = max(self._total, self._used + size)

    def _give(self, size):
        with self._lock:
            self._used -= size

    def used_bytes(self):
        return self._used

    def free_bytes(self):
        return self._total - self._used

    def total_bytes(self):
        return self._total

    def n_free_blocks(self):
        return int(self._total > self._used)

    def free_all_blocks(self, stream=None):
        with self._lock:
            self._total = self._used

    def get_limit(self):
        return self._limit

    def set_limit(self, size=None, fraction=None):
        if (size is None) == (fraction is None):
            raise ValueError("size and fraction cannot be specified at one time, nor neither")
        self._limit = int(size if fraction is None else fraction * device.MEMORY)


@cache
def pool_of(number):
    return MemoryPool()


def get_default_memory_pool():
    return pool_of(device.get_device_id())


class Allocation:
    """Some bytes of the current device, given back when the last array that looks at them is gone."""

    def __init__(self, nbytes):
        self.size = 0
        self.device = device.Device()
        self.pool = pool_of(self.device.id)
        size = -(-nbytes // BLOCK) * BLOCK
        self.pool._take(size)
        self.size = size

    def __del__(self):
        if self.size:
            self.pool._give(self.size)
