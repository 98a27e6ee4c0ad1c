"""Order statistics for the CPU twins: many small sets at a time, one a column, so that the loops run over vectors."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper

#: Bytes that are sorted at once: with them in the first-level cache the network runs at the speed of the registers.
BUFFER = 20480


@helper
def sort_columns_inplace(values):
    """Sort each column of ``values[n, width]``, float32, C-contiguous, upwards; NaN come last.

    Batcher's odd-even merge sort (Knuth, TAOCP vol. 3, 5.3.4) of the bits as integers: what it compares depends on no
    data, so that many columns go through each comparison at once. They do so in a copy: the rows of a wide array evict
    each other from the cache.
    """
    n, width = values.shape
    bits = values.view(np.int32)
    at_once = min(max(BUFFER // (4 * max(n, 1)) // 16 * 16, 64), 512)
    store = np.empty(n * min(at_once, width), np.int32)
    for x in range(0, width, at_once):
        size = min(at_once, width - x)
        for k in range(n):
            _order_bits(bits[k, x : x + size], store[k * size : (k + 1) * size])
        span = 1
        while span < n:
            step = span
            while step >= 1:
                for start in range(step % span, n - step, 2 * step):
                    # Comparisons that would cross from one merged pair into the next are left out.
                    if step == span or (start + step) & (2 * span - 1):
                        run = min(step, n - step - start) * size
                        low = store[start * size : start * size + run]
                        high = store[(start + step) * size : (start + step) * size + run]
                        for k in range(run):
                            a, b = low[k], high[k]
                            low[k], high[k] = min(a, b), max(a, b)
                step //= 2
            span *= 2
        for k in range(n):
            _restore_bits(store[k * size : (k + 1) * size], bits[k, x : x + size])


@helper
def _order_bits(source, target):
    """Copy the bits of float32 to integers that sort as the numbers do, NaN of either sign above all."""
    for x in range(source.size):
        size = source[x] & np.int32(0x7FFFFFFF)
        target[x] = (
            size if size > np.int32(0x7F800000) else source[x] ^ ((source[x] >> np.int32(31)) & np.int32(0x7FFFFFFF))
        )


@helper
def _restore_bits(source, target):
    """Back from :func:`_order_bits`."""
    for x in range(source.size):
        target[x] = source[x] ^ ((source[x] >> np.int32(31)) & np.int32(0x7FFFFFFF))


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
