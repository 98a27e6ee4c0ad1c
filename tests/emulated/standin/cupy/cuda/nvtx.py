"""Named ranges for a profiler; a range that is popped unpushed fails."""

from __future__ import annotations

import threading

_open = threading.local()


def _names():
    if not hasattr(_open, "names"):
        _open.names = []
    return _open.names


def RangePush(message, id_color=-1):  # noqa: N802  NVTX's spelling
    _names().append(str(message))


def RangePop():  # noqa: N802
    if not _names():
        raise RuntimeError("nvtx.RangePop without RangePush in this thread")
    _names().pop()


def Mark(message, id_color=-1):  # noqa: N802
    """Leaves no trace."""
