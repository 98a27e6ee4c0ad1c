"""Bytes between the host and where the arrays live, beside the computing."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from gpujw import backend as backends
from gpujw.io import Raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class HostLink:
    """Arrays that stay on the host: nothing has to move."""

    #: Small blocks, for the cache's sake.
    cached = True

    def allocate(self, nbytes: int) -> NDArray[np.uint8]:
        """A buffer to read into."""
        return np.empty(nbytes, np.uint8)

    def up(self, raw: Raw) -> Raw:
        """``raw`` at its home."""
        return raw

    def put(self, array: NDArray[Any]) -> Any:
        """Reference data at their home."""
        return np.ascontiguousarray(array)

    def down(self, array: Any) -> Callable[[], NDArray[Any]]:
        """How to get ``array`` on the host: a function for the thread that wants it there."""
        return lambda: array

    def settle(self) -> None:
        """Wait until all that was asked of this home is done."""


class DeviceLink(HostLink):
    """Arrays on a CUDA device: pinned buffers, and a stream each way beside that of the kernels."""

    cached = False

    def __init__(self, home: str) -> None:
        self._cp = backends.cuda().xp
        self._device = self._cp.cuda.Device(int(home))
        with self._device:
            self._upward = self._cp.cuda.Stream(non_blocking=True)
            self._downward = self._cp.cuda.Stream(non_blocking=True)

    def allocate(self, nbytes: int) -> NDArray[np.uint8]:
        """A pinned buffer: only from such memory does a copy run beside the kernels."""
        return np.frombuffer(self._cp.cuda.alloc_pinned_memory(nbytes), np.uint8, nbytes)

    def up(self, raw: Raw) -> Raw:
        """``raw`` on the device; the thread that reads waits for the copy, the kernels of the exposure before go on.

        The arrays come from the upward stream's part of the memory pool, so that only a later ``up`` takes their place,
        and none does before ``settle`` has seen the kernels that read them end.
        """
        with self._device, self._upward:
            arrays = {field.name: self._copied(getattr(raw, field.name)) for field in fields(raw)}
        self._upward.synchronize()
        return Raw(**arrays)

    def _copied(self, array: Any) -> Any:
        if array is None:
            return None
        copy = self._cp.empty(array.shape, array.dtype)
        copy.set(array, stream=self._upward)
        return copy

    def put(self, array: NDArray[Any]) -> Any:
        """Reference data on the device."""
        with self._device:
            return self._cp.asarray(np.ascontiguousarray(array))

    def down(self, array: Any) -> Callable[[], NDArray[Any]]:
        """A function that waits for the kernels that make ``array``, and no longer, then copies it to the host."""
        made = self._cp.cuda.Event(disable_timing=True)
        made.record()

        def fetch() -> NDArray[Any]:
            host: NDArray[Any] = self.allocate(array.nbytes).view(array.dtype).reshape(array.shape)
            with self._device:
                self._downward.wait_event(made)
                array.get(stream=self._downward, out=host)
                self._downward.synchronize()
            return host

        return fetch

    def settle(self) -> None:
        """Wait for the kernels."""
        self._cp.cuda.get_current_stream().synchronize()


def link(home: str) -> HostLink:
    """The link of one home, ``"cpu"`` or a device's number."""
    return HostLink() if home == "cpu" else DeviceLink(home)
