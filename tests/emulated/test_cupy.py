"""The stand-in for CuPy: it refuses what CuPy refuses, and counts what a GPU would wait for."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest


@pytest.fixture
def cp():
    import cupy

    return cupy


@pytest.fixture
def x(cp):
    return cp.arange(12, dtype="f4").reshape(3, 4)


@pytest.fixture
def moved(cp):
    """moved(action): the traffic while it runs."""

    def count(action):
        before = cp.traffic.snapshot()
        action()
        return cp.traffic.since(before)

    return count


def test_it_shadows_a_real_one(cp):
    assert "standin" in cp.__file__
    assert type(cp.zeros(1)).__module__ == "cupy"
    assert not isinstance(cp.zeros(1), np.ndarray)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda cp, x: np.asarray(x),
        lambda cp, x: np.float32(x[0, 0]),
        lambda cp, x: x + np.ones((3, 4), "f4"),
        lambda cp, x: np.ones((3, 4), "f4") + x,
        lambda cp, x: np.add(x, np.ones((3, 4), "f4")),
        lambda cp, x: np.concatenate([x, np.ones((3, 4), "f4")]),
        lambda cp, x: cp.concatenate([x, np.ones((3, 4), "f4")]),
        lambda cp, x: cp.where(x > 2, x, np.zeros((3, 4), "f4")),
        lambda cp, x: x + [1, 2, 3, 4],
        lambda cp, x: x == None,  # noqa: E711
        lambda cp, x: cp.sum([1.0, 2.0]),
        lambda cp, x: cp.median(3.0),
        lambda cp, x: cp.divide(x, x, where=x > 0),
        lambda cp, x: cp.sum(x, where=x > 0),
        lambda cp, x: cp.add.reduce(x, initial=0),
        lambda cp, x: x.sum(where=x > 0),
        lambda cp, x: x.sort(order=None),
        lambda cp, x: x.astype("f8", casts="no"),
        lambda cp, x: cp.sqrt(x, x, x),
        lambda cp, x: x.set(np.zeros((3, 4), "f8")),
        lambda cp, x: x.get(out=np.zeros((3, 4), "f8")),
        lambda cp, x: x.__setitem__(0, [1, 2, 3, 4]),
        lambda cp, x: hash(x),
    ],
)
def test_what_cupy_refuses_with_type_errors(cp, x, attempt):
    with pytest.raises(TypeError):
        attempt(cp, x)
    np.testing.assert_array_equal(x.get(), np.arange(12).reshape(3, 4))


@pytest.mark.parametrize(
    ("attempt", "error"),
    [
        (lambda cp, x: x.__setitem__(slice(None), np.zeros((3, 4), "f4")), ValueError),
        (lambda cp, x: cp.zeros(3, ">f4"), ValueError),
        (lambda cp, x: x.view(">f4"), ValueError),
        (lambda cp, x: cp.zeros(3, "U4"), ValueError),
        (lambda cp, x: cp.asarray(np.array(["a"])), ValueError),
        (lambda cp, x: cp.errstate(all="ignore"), AttributeError),
        (lambda cp, x: cp.nanpercentile_of, AttributeError),
        (lambda cp, x: x.ctypes, AttributeError),
        (lambda cp, x: x.__array_interface__, AttributeError),
        (lambda cp, x: cp.bitwise_or.reduce(x.astype("u1")), NotImplementedError),
        (lambda cp, x: cp.maximum.accumulate(x), NotImplementedError),
        (lambda cp, x: cp.divide.at(x, 0, x), NotImplementedError),
    ],
)
def test_what_cupy_lacks(cp, x, attempt, error):
    with pytest.raises(error):
        attempt(cp, x)


EXPRESSIONS = """
    x + 1; 1 - x; x / np.float32(3); x * 2.5; x // 2; x % 5; x ** 2; -x; abs(-x); x @ x.T; x > 4; divmod(x, 3)[1];
    ~(x > 4); (x > 2) & (x < 7); x.astype('u1') << 2; x.astype('i8') | 1; x.T; x.mT; x[1]; x[1, 2]; x[..., 0];
    x[:, ::2]; x[None]; x[x > 4]; x[xp.asarray([0, 2])]; x.real; x[:, -1:]; x.sum(); x.sum(axis=0, keepdims=True);
    x.mean(axis=1, dtype='f8'); x.max(axis=-1); x.std(); x.any(); x.argmax(axis=1); x.reshape(4, 3);
    x.reshape((2, -1)); x.ravel(); x.transpose(1, 0); x.copy(); x.clip(2, 5); x.astype('i4'); x.view('u4');
    x.cumsum(axis=0); x.byteswap(); x.flatten(); x.squeeze(); x.round(1); xp.where(x > 4, x, 0); xp.where(x > 4)[0];
    xp.nanmedian(x, axis=0); xp.median(x); xp.sqrt(x); xp.isnan(x); xp.concatenate([x, x], axis=1); xp.stack([x, x]);
    xp.percentile(x, 30); xp.clip(x, 2, None); xp.diff(x); xp.zeros((2, 3)); xp.ones(3, xp.uint8);
    xp.full((2,), 7.0); xp.arange(3); xp.linspace(0, 1, 5); xp.eye(3); xp.zeros_like(x); xp.full_like(x, 2);
    xp.pad(x, 1); xp.sort(-x, axis=0); xp.argsort(-x); xp.roll(x, 1, axis=1); xp.add.reduce(x, axis=1);
    xp.add.outer(x[0], x[1]); xp.count_nonzero(x); xp.allclose(x, x); xp.unique(x % 3);
    xp.broadcast_to(x[0], (5, 4)); xp.einsum('ij,kj->ik', x, x); xp.linalg.norm(x); xp.fft.rfft(x); xp.float64(3);
    xp.interp(xp.arange(3.0), x[0], x[1]); xp.bincount(x.astype('i4').ravel());
    xp.take_along_axis(x, xp.argsort(x), 1); np.sqrt(x); np.float32(2) * x; np.concatenate([x, x]);
    np.where(x > 3, x, 0); np.mean(x, axis=0); xp.searchsorted(x.ravel(), x[1]); xp.meshgrid(x[0], x[1])[1];
    xp.nan_to_num(x); xp.squeeze(x[None])
"""


@pytest.mark.parametrize("expression", [text.strip() for text in EXPRESSIONS.split(";")])
def test_values_types_and_shapes_are_numpys(cp, expression):
    host = np.arange(12, dtype="f4").reshape(3, 4)
    expected = np.asarray(eval(expression, {"xp": np, "np": np, "x": host}))
    result = eval(expression, {"xp": cp, "np": np, "x": cp.asarray(host)})
    assert isinstance(result, cp.ndarray | np.generic)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(cp.asnumpy(result), expected)


@pytest.mark.parametrize("operation", ["__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__"])
def test_in_place_operations_stay_in_place(cp, x, operation):
    before, expected = x, getattr(np.arange(12, dtype="f4").reshape(3, 4), operation)(2)
    x = getattr(x, operation)(2)
    assert x is before
    np.testing.assert_array_equal(x.get(), expected)


def test_views_share_and_copies_do_not(cp, x):
    x[1:][:, 0] = -1
    x.reshape(-1)[0] = -2
    assert x[:, 0].get().tolist() == [-2, -1, -1]
    copy = x[:, [0, 1]]
    copy[:] = 9
    assert x.min().item() == -2
    cp.add(x, 1, out=x[:])
    assert x[0, 1].item() == 2


def test_uninitialised_memory_is_not_zero(cp):
    assert np.isnan(cp.empty((2, 3), "f4").get()).all()
    assert (cp.empty_like(cp.zeros(3, "i2")).get() == -1).all()
    assert (cp.empty(3, "u1").get() == 255).all()


def test_upload_of_big_endian_bytes_swaps_them(cp):
    swapped = cp.asarray(np.arange(5, dtype=">f4"))
    assert swapped.dtype == np.dtype("f4")
    assert swapped.get().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("action", "uploads", "downloads", "reads"),
    [
        (lambda cp, x: x + 1, 0, 0, 0),
        (lambda cp, x: x[1:, :2].sum(), 0, 0, 0),
        (lambda cp, x: cp.where(x > 3, x, 0), 0, 0, 0),
        (lambda cp, x: cp.asarray(np.ones(3)), 1, 0, 0),
        (lambda cp, x: cp.asarray(2.0), 0, 0, 0),
        (lambda cp, x: x.set(np.ones((3, 4), "f4")), 1, 0, 0),
        (lambda cp, x: x[np.array([0, 1])], 1, 0, 0),
        (lambda cp, x: x[[0, 1]], 1, 0, 0),
        (lambda cp, x: x.get(), 0, 1, 0),
        (lambda cp, x: cp.asnumpy(x), 0, 1, 0),
        (lambda cp, x: x.tolist(), 0, 1, 0),
        (lambda cp, x: float(x[0, 0]), 0, 0, 1),
        (lambda cp, x: bool(x.any()), 0, 0, 1),
        (lambda cp, x: x[1, 1].item(), 0, 0, 1),
        (lambda cp, x: range(12)[x[0, 1].astype("i4")], 0, 0, 1),
        (lambda cp, x: x[x > 3], 0, 0, 1),
        (lambda cp, x: x.__setitem__(x > 3, 0), 0, 0, 1),
        (lambda cp, x: cp.nonzero(x), 0, 0, 1),
        (lambda cp, x: x.nonzero(), 0, 0, 1),
        (lambda cp, x: cp.where(x > 3), 0, 0, 1),
        (lambda cp, x: cp.unique(x), 0, 0, 1),
    ],
)
def test_transfers_and_waits_are_counted(cp, x, moved, action, uploads, downloads, reads):
    counts = moved(lambda: action(cp, x))
    assert (counts.uploads, counts.downloads, counts.reads) == (uploads, downloads, reads)


def test_bytes_moved_are_counted(cp, x, moved):
    assert moved(x.get).download_bytes == 48
    assert moved(lambda: cp.asarray(np.zeros(7, "u1"))).upload_bytes == 7


def test_a_step_that_leaves_the_device_fails(cp, x, put, stays_on_device):
    with stays_on_device():
        x += 1
    with stays_on_device(reads=1):
        bool(x.any())
    for leak in (lambda: x.get(), lambda: put(np.ones(3)), lambda: bool(x.any())):
        with pytest.raises(AssertionError), stays_on_device():
            leak()


def test_memory_is_counted_and_given_back(cp):
    pool = cp.get_default_memory_pool()
    gc.collect()
    before = pool.used_bytes()
    a = cp.zeros((1000, 100), "f4")
    assert pool.used_bytes() - before == 400_384  # 400,000 rounded up to blocks of 512
    view = a[10:]
    del a
    assert pool.used_bytes() > before
    del view
    assert pool.used_bytes() == before
    assert pool.total_bytes() >= pool.used_bytes()
    pool.free_all_blocks()
    assert pool.total_bytes() == before


def test_memory_ends_at_the_limit(cp):
    pool = cp.get_default_memory_pool()
    pool.free_all_blocks()
    pool.set_limit(size=pool.used_bytes() + 100_000)
    try:
        a = cp.zeros(20_000, "f4")
        with pytest.raises(cp.cuda.memory.OutOfMemoryError, match=r"Out of memory allocating 80,384 bytes"):
            a + 1
        del a
        assert cp.ones(20_000, "f4").sum().item() == 20_000
    finally:
        pool.set_limit(size=0)
    assert cp.ones(200_000, "f4").size == 200_000


def test_memory_ends_at_the_device(cp):
    free, total = cp.cuda.Device().mem_info
    assert 0 < free <= total
    with pytest.raises(MemoryError) as caught:
        cp.empty(total + 1, "u1")
    assert "Out of memory" in str(pickle.loads(pickle.dumps(caught.value)))


def pinned(cp, like):
    memory = cp.cuda.alloc_pinned_memory(like.nbytes)
    return np.frombuffer(memory, like.dtype, like.size).reshape(like.shape)


def test_pinned_downloads_arrive_when_waited_for(cp, x):
    host = pinned(cp, x)
    stream = cp.cuda.Stream(non_blocking=True)
    x.get(out=host, stream=stream, blocking=False)
    assert not host.any()
    assert not stream.done
    stream.synchronize()
    np.testing.assert_array_equal(host, x.get())


def test_pinned_uploads_arrive_when_waited_for(cp, x):
    host = pinned(cp, x)
    host[:] = 5
    upward = cp.cuda.Stream(non_blocking=True)
    x.set(host, stream=upward)
    done = upward.record()
    assert (x + 0).max().item() == 11, "the default stream did not wait"
    cp.cuda.get_current_stream().wait_event(done)
    assert (x + 0).max().item() == 5
    host[:] = 6
    x.set(host, stream=upward)
    host[:] = 7
    with upward:
        assert (x + 0).max().item() == 7, "the buffer was overwritten before its copy was waited for"


def test_pageable_memory_is_copied_at_once(cp, x):
    stream = cp.cuda.Stream(non_blocking=True)
    host = np.full((3, 4), 5, "f4")
    x.set(host, stream=stream)
    host[:] = 6
    assert x.max().item() == 5
    assert cp.cuda.get_elapsed_time(stream.record(), stream.record()) >= 0


def test_devices_ranges_and_errors(cp):
    assert cp.cuda.runtime.getDeviceCount() == 1
    with cp.cuda.Device(0) as device:
        assert cp.cuda.Device() == device
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="invalid device ordinal"):
        cp.cuda.Device(1)
    cp.cuda.nvtx.RangePush("jump")
    cp.cuda.nvtx.RangePop()
    with pytest.raises(RuntimeError):
        cp.cuda.nvtx.RangePop()


def test_memoize_remembers(cp):
    calls = []

    @cp.memoize(for_each_device=True)
    def load(stem, *macros):
        calls.append(stem)
        return object()

    assert load("a", "N=1") is load("a", "N=1")
    assert load("a", "N=2") is not load("a", "N=1")
    assert len(calls) == 2


def test_image_filters_are_scipys(cp, x):
    from cupyx.scipy import ndimage
    from scipy import ndimage as host

    np.testing.assert_array_equal(ndimage.median_filter(x, 3).get(), host.median_filter(x.get(), 3))
    with pytest.raises(TypeError):
        ndimage.median_filter(x.get(), 3)
    with pytest.raises(AttributeError):
        ndimage.watershed_ift(x, x)
