"""The device array: a NumPy array that nobody else can reach, in the manner of ``cupy.ndarray``."""

from __future__ import annotations

import functools
import inspect
import math
import operator
from typing import ClassVar

import numpy as np

from cupy._surface import SURFACE, taking
from cupy._traffic import traffic
from cupy.cuda.memory import Allocation
from cupy.cuda.pinned_memory import is_pinned
from cupy.cuda.stream import get_current_stream

DTYPES = "?bhilqBHILQefdFD"


def check_dtype(dtype):
    if dtype.char not in DTYPES or not dtype.isnative:
        raise ValueError(f"Unsupported dtype {dtype}" + ("" if dtype.isnative else " with big-endian byte-order"))


class Flags:
    """The three flags that a device array has."""

    def __init__(self, flags):
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, flags.owndata

    def __getitem__(self, name):
        return getattr(self, name.lower())


class MemoryPointer:
    """Where an array begins."""

    def __init__(self, array):
        self.ptr, self.device, self.mem = array._host.ctypes.data, array.device, array._memory


class ndarray:  # noqa: N801  CuPy's spelling
    """Wraps, not extends, ``numpy.ndarray``: NumPy must not be able to look inside."""

    __slots__ = ("__weakref__", "_host", "_memory")
    __module__ = "cupy"
    __hash__: ClassVar[None] = None
    __array_priority__ = 100

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        if memptr is not None or strides is not None:
            raise NotImplementedError("the stand-in for CuPy makes arrays from shape, dtype and order only")
        other = uninitialised(shape, dtype, order)
        self._host, self._memory = other._host, other._memory

    # What it refuses

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, function, method, *inputs, out=None, **kwargs):
        import cupy

        found = getattr(cupy, function.__name__, None)
        if found is None:
            return NotImplemented
        if out is not None:
            kwargs["out"] = out[0]
        return (found if method == "__call__" else getattr(found, method))(*inputs, **kwargs)

    def __array_function__(self, function, types, args, kwargs):
        import cupy

        path = [*function.__module__.split(".")[1:], function.__name__]
        try:
            found = functools.reduce(getattr, path, cupy)
        except AttributeError:
            return NotImplemented
        if found is function or not all(issubclass(t, ndarray | np.ndarray) for t in types):
            return NotImplemented
        return found(*args, **kwargs)

    # What it is

    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: Flags(self._host.flags))
    device = property(lambda self: self._memory.device)
    data = property(MemoryPointer)
    T = property(lambda self: adopt(self._host.T, self))
    mT = property(lambda self: adopt(self._host.mT, self))  # noqa: N815
    real = property(lambda self: adopt(self._host.real, self))
    imag = property(lambda self: adopt(self._host.imag, self))

    @property
    def shape(self):
        return self._host.shape

    @shape.setter
    def shape(self, shape):
        self._host = self._host.reshape(shape, copy=False)

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return repr(self.get())

    def __format__(self, spec):
        return format(self.get(), spec)

    def __reduce__(self):
        from cupy import asarray

        return asarray, (self.get(),)

    def __deepcopy__(self, memo):
        return self.copy()

    # Host and device

    def get(self, stream=None, order="C", out=None, blocking=True):
        stream = stream or get_current_stream()
        if out is None:
            out = np.empty(self.shape, self.dtype, order)
        elif out.dtype != self.dtype:
            raise TypeError(f"{out.dtype} array cannot be obtained from {self.dtype} array")
        elif out.shape != self.shape:
            raise ValueError(f"Shape mismatch. Expected shape: {self.shape}, actual shape: {out.shape}")
        traffic.download(self.nbytes) if self.size > 1 else traffic.read()
        stream.arrive()
        if blocking or not is_pinned(out):
            np.copyto(out, self._host)
        else:
            stream.defer(lambda: np.copyto(out, self._host))
        return out

    def set(self, arr, stream=None):
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if self.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not (self.flags.c_contiguous or self.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        stream = stream or get_current_stream()
        traffic.upload(self.nbytes)
        stream.arrive()
        if is_pinned(arr) and arr.flags.c_contiguous:
            stream.defer(lambda: np.copyto(self._host, arr))
        else:
            np.copyto(self._host, arr)

    def item(self):
        return self.get().item()

    def tolist(self):
        return self.get().tolist()

    def tobytes(self, order="C"):
        return self.get().tobytes(order)

    def __bool__(self):
        return bool(self.get())

    def __int__(self):
        return int(self.get())

    def __float__(self):
        return float(self.get())

    def __complex__(self):
        return complex(self.get())

    def __index__(self):
        return operator.index(self.get())

    # Parts

    def __getitem__(self, key):
        host_key, masked = index(key)
        if masked:
            traffic.read()
        get_current_stream().arrive()
        return adopt(self._host[host_key], self)

    def __setitem__(self, key, value):
        host_key, masked = index(key)
        if masked:
            traffic.read()
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        if isinstance(value, list | tuple):
            raise TypeError(f"a {type(value).__name__} lives on the host; put it on the device with cupy.array")
        get_current_stream().arrive()
        with np.errstate(all="ignore"):
            self._host[host_key] = value._host if isinstance(value, ndarray) else value

    def view(self, dtype=None, type=None):
        return adopt(self._host.view() if dtype is None else self._host.view(native(dtype)), self)

    def astype(self, dtype, order="K", casting="unsafe", subok=None, copy=True):
        with np.errstate(all="ignore"):
            return apply(self._host.astype, native(dtype), order=order, casting=casting, copy=copy, among=[self])

    def dump(self, file):
        self.get().dump(file)


def native(dtype):
    dtype = np.dtype(dtype)
    check_dtype(dtype)
    return dtype


def index(key):
    """A key in NumPy's form, always one that answers with an array; whether CuPy must count a mask on the host."""
    parts, masked = [], False
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, np.ndarray | list) and len(part):
            traffic.upload(np.asarray(part).nbytes)
        host = part._host if isinstance(part, ndarray) else part
        masked |= isinstance(host, np.ndarray) and host.dtype == bool
        parts.append(host)
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)
    return tuple(parts), masked


def adopt(host, *relatives):
    """The device array of a NumPy result: one of ``relatives``, a view of its memory, or memory of its own."""
    host = np.asarray(host)
    check_dtype(host.dtype)
    array = object.__new__(ndarray)
    array._host = host
    for other in relatives:
        if host is other._host:
            return other
        if np.may_share_memory(host, other._host):
            array._memory = other._memory
            return array
    array._memory = Allocation(host.nbytes)
    return array


def uninitialised(shape, dtype=float, order="C"):
    """Memory with all bits set (NaN, -1, the largest unsigned): whoever forgets to write a result will see it."""
    dtype = native(dtype)
    shape = (int(shape),) if np.ndim(shape) == 0 else tuple(int(n) for n in shape)
    memory = Allocation(math.prod(shape) * dtype.itemsize)
    array = object.__new__(ndarray)
    bits = np.full(math.prod(shape) * dtype.itemsize, 1 if dtype.kind == "b" else 0xFF, np.uint8)
    array._host, array._memory = bits.view(dtype).reshape(shape, order="F" if order == "F" else "C"), memory
    return array


def apply(function, *args, among=(), **kwargs):
    """``function`` of NumPy on the host side of the arguments, its results back as device arrays."""
    found = list(among)
    args = [release(arg, found) for arg in args]
    kwargs = {name: release(arg, found) for name, arg in kwargs.items()}
    if len({array.device.id for array in found}) > 1:
        raise ValueError("Array device must be same as the current device: the arrays live on several")
    get_current_stream().arrive()
    with np.errstate(all="ignore"):
        return returned(function(*args, **kwargs), found)


def release(value, found):
    """The NumPy form of an argument; the device arrays met on the way are added to ``found``."""
    if isinstance(value, ndarray):
        found.append(value)
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, list | tuple):
        return type(value)([release(part, found) for part in value])
    return value


def returned(result, found):
    if isinstance(result, np.ndarray | np.generic):
        return adopt(result, *found)
    if isinstance(result, list | tuple):
        parts = [returned(part, found) for part in result]
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    return result


# The methods not written out above take what CuPy's take, and do what NumPy's do.


def _method(name, entry):
    def method(self, *args, **kwargs):
        taken(*args, **kwargs)
        if name in ("nonzero", "compress"):
            traffic.read()
        return apply(getattr(self._host, name), *args, among=[self], **kwargs)

    taken = taking(f"ndarray.{name}", entry)
    method.__name__ = name
    method.__signature__ = inspect.signature(taken)
    return method


for _name, _entry in SURFACE["cupy.ndarray"].items():
    if _entry != "other" and not hasattr(ndarray, _name) and hasattr(np.ndarray, _name):
        setattr(ndarray, _name, _method(_name, _entry))

_OPERATORS = {
    **{"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide"},
    **{"mod": "remainder", "pow": "power", "lshift": "left_shift", "rshift": "right_shift", "matmul": "matmul"},
    **{"and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "divmod": "divmod"},
}
_COMPARISONS = {
    **{"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
}


def _operate(name, *args, **kwargs):
    import cupy

    return getattr(cupy, name)(*args, **kwargs)


def _binary(name):
    return lambda self, other: _operate(name, self, other)


for _short, _long in {**_OPERATORS, **_COMPARISONS}.items():
    setattr(ndarray, f"__{_short}__", _binary(_long))
for _short, _long in _OPERATORS.items():
    setattr(ndarray, f"__r{_short}__", lambda self, other, _long=_long: _operate(_long, other, self))
    if _short != "divmod":
        setattr(ndarray, f"__i{_short}__", lambda self, other, _long=_long: _operate(_long, self, other, out=self))
for _short, _long in {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}.items():
    setattr(ndarray, f"__{_short}__", lambda self, _long=_long: _operate(_long, self))
