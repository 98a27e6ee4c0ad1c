"""Functions that make device arrays, or bring host arrays to the device and back."""

from __future__ import annotations

import functools

import numpy as np

from cupy._array import adopt, apply, ndarray, uninitialised
from cupy._traffic import traffic
from cupy.cuda.device import get_device_id
from cupy.cuda.stream import get_current_stream


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    if isinstance(obj, ndarray):
        return apply(np.array, obj, dtype=dtype, copy=copy, order=order, ndmin=ndmin)
    if isinstance(obj, list | tuple) and any(isinstance(part, ndarray) for part in obj):
        return apply(np.array, obj, dtype=dtype, order=order, ndmin=ndmin)
    host = np.array(obj, dtype=dtype, order="C" if order in ("K", "A") else order, ndmin=ndmin)
    host = host.astype(host.dtype.newbyteorder("="), copy=False)
    if host.ndim:
        traffic.upload(host.nbytes)
    get_current_stream().arrive()
    return adopt(host)


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    return array(a, dtype, copy, order or "K", blocking=blocking)


def asanyarray(a, dtype=None, order=None, *, blocking=False):
    return asarray(a, dtype, order)


def ascontiguousarray(a, dtype=None):
    return array(a, dtype, None, "C", ndmin=1)


def asfortranarray(a, dtype=None):
    return array(a, dtype, None, "F", ndmin=1)


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    if isinstance(a, ndarray):
        return a.get(stream, order, out, blocking)
    return np.asarray(a, order=order)


def empty(shape, dtype=float, order="C"):
    return uninitialised(shape, dtype, order)


def empty_like(prototype, dtype=None, order="K", subok=None, shape=None):
    if not isinstance(prototype, ndarray):
        raise TypeError(f"Unsupported type {type(prototype)}")
    turned = prototype.flags.f_contiguous and not prototype.flags.c_contiguous
    order = ("F" if turned else "C") if order in ("K", "A") else order
    return uninitialised(prototype.shape if shape is None else shape, dtype or prototype.dtype, order)


def get_array_module(*args):
    import cupy

    return cupy if any(isinstance(arg, ndarray) for arg in args) else np


_memos = []


def memoize(for_each_device=False):
    """Cache a function's results, one for each device if asked to."""

    def decorate(function):
        memo = {}
        _memos.append(memo)

        @functools.wraps(function)
        def remembered(*args, **kwargs):
            key = get_device_id() if for_each_device else -1, args, frozenset(kwargs.items())
            if key not in memo:
                memo[key] = function(*args, **kwargs)
            return memo[key]

        return remembered

    return decorate


def clear_memo():
    for memo in _memos:
        memo.clear()
