"""Streams and events, at their least helpful: a transfer of pinned memory waits until something waits for it.

All else runs at once, in the order of the program. So a buffer that is read, reused or freed before its stream or event
was synchronised holds the wrong bytes here every time, and not once in a thousand runs on a GPU.
"""

from __future__ import annotations

import threading
import time
import weakref

_streams = weakref.WeakSet()
_current = threading.local()
_lock = threading.RLock()


class Work:
    """Something to be done once, at the latest when someone waits for it."""

    def __init__(self, action):
        self.action = action

    def run(self):
        with _lock:
            action, self.action = self.action, None
            if action:
                action()


class Stream:
    """Work in order; independent of other streams but for the default one, which waits unless ``non_blocking``."""

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.is_non_blocking = non_blocking
        self._default = null
        self.ptr = 0 if null else id(self)
        self._pending = []
        self._outer = []
        _streams.add(self)

    def __enter__(self):
        self._outer.append(get_current_stream())
        _current.stream = self
        return self

    def __exit__(self, *_):
        _current.stream = self._outer.pop()

    def use(self):
        _current.stream = self
        return self

    @property
    def done(self):
        return not any(work.action for work in self._pending)

    def synchronize(self):
        pending, self._pending = self._pending, []
        for work in pending:
            work.run()

    def record(self, event=None):
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event):
        event.synchronize()

    def launch_host_func(self, callback, arg):
        self.defer(lambda: callback(arg))

    def defer(self, action):
        self._pending.append(Work(action))

    def arrive(self):
        """What a kernel or copy issued on this stream may rely on has happened."""
        self.synchronize()
        if self._default:
            for other in list(_streams):
                if not other.is_non_blocking:
                    other.synchronize()
        elif not self.is_non_blocking:
            Stream.null.synchronize()


class Event:
    """A point in a stream: what was issued before it is done when the event is."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._work = []
        self.time = None

    def record(self, stream=None):
        self._work = list((stream or get_current_stream())._pending)
        self.time = time.perf_counter()

    @property
    def done(self):
        return not any(work.action for work in self._work)

    def synchronize(self):
        for work in self._work:
            work.run()


def get_elapsed_time(start, end):
    """Milliseconds between two events."""
    return (end.time - start.time) * 1e3


def get_current_stream(device_id=None):
    return getattr(_current, "stream", Stream.null)


def finish_all():
    for stream in list(_streams):
        stream.synchronize()


Stream.null = Stream(null=True)
