"""Order statistics for the CPU twins: many small sets at a time, one a column, so that the loops run over vectors."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper

#: Bytes that are sorted at once: with them in the first-level cache the network runs at the speed of the registers.
BUFFER = 20480


@helper
def sort_columns_inplace(values):
    """Sort each column of ``values[n, width]``, float32, C-contiguous, upwards; NaN come last."""
    _sort_bits_inplace(values.view(np.int32), True)


@helper
def sort_sizes_inplace(values):
    """As :func:`sort_columns_inplace`, of absolute values: their bits sort as they are, those of NaN above all."""
    _sort_bits_inplace(values.view(np.int32), False)


@helper
def _sort_bits_inplace(bits, signed):
    """Sort each column of ``bits[n, width]``, as many at once as fit the cache, in a copy: equal strides evict each other."""
    n, width = bits.shape
    at_once = min(max(BUFFER // (4 * max(n, 1)) // 16 * 16, 64), 512)
    store = np.empty(n * min(at_once, width), np.int32)
    for x in range(0, width, at_once):
        size = min(at_once, width - x)
        for k in range(n):
            _order_bits(bits[k, x : x + size], store[k * size : (k + 1) * size], signed, True)
        _merge_columns_inplace(store, n, size)
        for k in range(n):
            _order_bits(store[k * size : (k + 1) * size], bits[k, x : x + size], signed, False)


@helper
def _order_bits(source, target, signed, forth):
    """Copy the bits of float32 to integers that sort as the numbers do, NaN of either sign above all; or back."""
    for x in range(source.size):
        bits = source[x]
        order = bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)) if signed else bits
        size = bits & np.int32(0x7FFFFFFF)
        target[x] = size if forth and size > np.int32(0x7F800000) else order


@helper
def _merge_columns_inplace(store, n, width):
    """Sort the columns of ``n`` rows of ``width`` numbers, which lie at the head of ``store``.

    Batcher's odd-even merge sort (Knuth, TAOCP vol. 3, 5.3.4): what it compares depends on no data, so that all columns
    go through each comparison at once.
    """
    span = 1
    while span < n:
        step = span
        while step >= 1:
            for start in range(step % span, n - step, 2 * step):
                # Comparisons that would cross from one merged pair into the next are left out.
                if step == span or (start + step) & (2 * span - 1):
                    low, high, size = start * width, (start + step) * width, min(step, n - step - start) * width
                    _exchange_inplace(store[low : low + size], store[high : high + size])
            step //= 2
        span *= 2


@helper
def _exchange_inplace(low, high):
    """Put the lesser of each pair into ``low`` and the greater into ``high``."""
    for x in range(low.size):
        a = low[x]
        b = high[x]
        low[x] = min(a, b)
        high[x] = max(a, b)


@helper
def count_numbers(values, x):
    """How many of the sorted column ``x`` of ``values[n, width]`` are not NaN."""
    n = values.shape[0]
    while n > 0 and np.isnan(values[n - 1, x]):
        n -= 1
    return n


@helper
def middle(values, x, first, last):
    """The median, float64, of rows ``first`` to ``last`` (not included) of the sorted column ``x``; NaN of none."""
    if last <= first:
        return np.nan
    half = first + (last - first) // 2
    if (last - first) % 2:
        return np.float64(values[half, x])
    return 0.5 * (np.float64(values[half - 1, x]) + np.float64(values[half, x]))
