"""Kernels on the emulator: the same answers in any order of threads, and planted bugs found."""

from __future__ import annotations

import numpy as np
import pytest

LINE = np.dtype([("slope", "f8"), ("start", "f8"), ("power", "i4")], align=True)


@pytest.fixture
def cp():
    import cupy

    return cupy


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def test_struct_by_value(cp, kernel, rng, order):
    x = rng.random(1237).astype("f4")
    out = cp.empty(x.shape, "f4")
    kernel("curve")((5,), (256,), (cp.asarray(x), out, np.int64(x.size), np.array((2.0, 1.0, 3), LINE)))
    np.testing.assert_allclose(out.get(), (2.0 * x.astype("f8") + 1.0) ** 3, rtol=1e-7)  # one rounding to float32


@pytest.mark.parametrize("block", [32, 96, 1024])
def test_shuffles_and_shared_memory(cp, kernel, rng, order, block):
    x = rng.normal(5, 2, 12345).astype("f4")
    x[::97] = np.nan
    out, total = cp.empty((3, 3)), cp.zeros(1, "u4")
    args = cp.asarray(x), np.int64(x.size), np.float32(2), np.float32(8), out, total
    kernel("moments")((3,), (block,), args)
    good = x[(x >= 2) & (x <= 8)].astype("f8")
    expected = [good.size, good.sum(), (good * good).sum()]
    np.testing.assert_allclose(out.get().sum(axis=0), expected, rtol=1e-13)  # float64 sums in another order
    assert total.item() == good.size


def test_dynamic_shared_memory(cp, kernel, rng, order):
    x = rng.normal(5, 2, (9, 256)).astype("f4")
    out = cp.empty(9, "f4")
    kernel("tile_median")((9,), (64,), (cp.asarray(x), out, np.int32(256)), shared_mem=1024)
    np.testing.assert_array_equal(out.get(), np.median(x, axis=1))


def test_two_dimensions_and_votes(cp, kernel, rng, order):
    image = rng.normal(0, 1, (37, 71)).astype("f4")
    votes = cp.zeros(3, "u4")
    args = cp.asarray(image), np.int32(37), np.int32(71), np.float32(2), votes
    kernel("columns_above")((3, 5), (32, 8), args)
    bits = [votes.get()[x // 32] >> x % 32 & 1 for x in range(71)]
    np.testing.assert_array_equal(bits, (image > 2).any(axis=0))


def test_early_return_passes_a_barrier(cp, kernel, order):
    x = cp.zeros(64, "f4")
    kernel("early_return")((1,), (64,), (x, np.int32(40)))
    assert x.sum().item() == 40


@pytest.mark.parametrize(
    ("bug", "message"),
    [
        ("divergent_barrier", r"divergent __syncthreads\(\): threads wait at lines \d+ and \d+"),
        ("partial_mask", "deadlock: 16 threads in a warp op|meets lane"),
        ("absent_lane", "shuffles from lane 20, which is not in mask 0000ffff"),
    ],
)
def test_wrong_meetings_are_reported(cp, kernel, bug, message, order):
    with pytest.raises(RuntimeError, match=message):
        kernel(bug, "bugs.cu")((1,), (64,), (cp.zeros(64, "f4"), np.int32(16)))
    x = cp.zeros(64, "f4")
    kernel("early_return")((1,), (64,), (x, np.int32(40)))  # a failed launch leaves the next one alone
    assert x.sum().item() == 40


def test_missing_barrier_shows_in_the_values(cp, kernel):
    from cupy import _compile

    if _compile.MODE == "tsan":
        pytest.skip("ThreadSanitizer stops at this race; tests/test_emulated.py sees it do so")
    x = cp.arange(256, dtype="f4")
    kernel("race_in_shared", "bugs.cu")((1,), (256,), (x, np.int32(256)))
    assert not np.array_equal(x.get(), np.arange(256)[::-1])


def test_shared_memory_that_was_never_written_is_nan(cp, kernel):
    x = cp.zeros(64, "f4")
    kernel("never_written", "bugs.cu")((1,), (64,), (x, np.int32(32)), shared_mem=256)
    np.testing.assert_array_equal(np.isnan(x.get()), np.arange(64) >= 32)


GOOD = {"x": "f4", "n": np.int64(8), "low": np.float32(0), "high": np.float32(1), "out": "f8", "total": "u4"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 8},
        {"n": 8.0},
        {"n": np.int32(8)},
        {"low": 0.0},
        {"low": np.float64(0)},
        {"x": "f8"},
        {"x": np.zeros(8, "f4")},
        {"total": "i4"},
    ],
    ids=str,
)
def test_argument_types_are_checked(cp, kernel, wrong):
    args = {**GOOD, **wrong}
    arrays = [cp.zeros(8, arg) if isinstance(arg, str) else arg for arg in args.values()]
    with pytest.raises(TypeError, match="moments, argument"):
        kernel("moments")((1,), (32,), tuple(arrays))


def test_non_contiguous_and_missing_arguments_are_refused(cp, kernel):
    args = (cp.zeros(16, "f4")[::2], np.int64(8), np.float32(0), np.float32(1), cp.zeros(3), cp.zeros(1, "u4"))
    with pytest.raises(TypeError, match="not C-contiguous"):
        kernel("moments")((1,), (32,), args)
    with pytest.raises(TypeError, match="5 arguments, needs 6"):
        kernel("moments")((1,), (32,), args[:-1])


@pytest.mark.parametrize(
    ("grid", "block", "shared"),
    [((0,), (32,), 0), ((1,), (1025,), 0), ((1,), (512,), 0), ((1, 70000), (32,), 0), ((1,), (32,), 50000)],
)
def test_launches_that_a_device_refuses(cp, kernel, grid, block, shared):
    args = cp.zeros(8, "f4"), cp.zeros(8, "f4"), np.int64(8), np.array((1.0, 0.0, 1), LINE)
    with pytest.raises(cp.cuda.driver.CUDADriverError, match="CUDA_ERROR_INVALID_VALUE"):
        kernel("curve")(grid, block, args, shared_mem=shared)


def test_compiler_messages_name_the_line(cp):
    from gpujw.kernels import _load

    module = cp.RawModule(
        code='#line 7 "mine.cu"\nextern "C" __global__ void f(int n) { m = n; }', options=_load.OPTIONS
    )
    with pytest.raises(cp.cuda.compiler.CompileException, match=r"mine\.cu:7"):
        module.get_function("f")


def test_products_are_rounded_before_sums(cp):
    code = 'extern "C" __global__ void f(float* x, float a, float b, float c) { x[0] = a * b + c; }'
    a, c = np.float32(1 + 2**-12), np.float32(-1 - 2**-11)
    x = cp.zeros(1, "f4")
    cp.RawModule(code=code, options=("-std=c++17", "--fmad=false")).get_function("f")((1,), (1,), (x, a, a, c))
    assert x.item() == 0  # a * a rounds to 1 + 2^-11; a fused multiply-add would keep 2^-24
