"""Order statistics for the CPU twins: many small sets at a time, one a column, so that the loops run over vectors."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper

#: Bytes that are sorted at once: with them in the first-level cache the network runs at the speed of the registers.
BUFFER = 20480


@helper
def sort_columns_inplace(values):
    """Sort each column of ``values[n, width]``, float32, C-contiguous, upwards; NaN come last."""
    bits = values.view(np.int32)
    for k in range(bits.shape[0]):
        _bits_to_order_inplace(bits[k])
    _merge_columns_inplace(bits)
    for k in range(bits.shape[0]):
        _order_to_bits_inplace(bits[k])


@helper
def sort_sizes_inplace(values):
    """As :func:`sort_columns_inplace`, of absolute values: their bits sort as they are, those of NaN above all."""
    _merge_columns_inplace(values.view(np.int32))


@helper
def _merge_columns_inplace(bits):
    """Sort each column of ``bits[n, width]``.

    Batcher's odd-even merge sort (Knuth, TAOCP vol. 3, 5.3.4): what it compares depends on no data, so that many
    columns go through each comparison at once.
    """
    n, width = bits.shape
    part = min(max(BUFFER // (4 * max(n, 1)) // 16 * 16, 64), 512)
    for x in range(0, width, part):
        span = 1
        while span < n:
            step = span
            while step >= 1:
                for start in range(step % span, n - step, 2 * step):
                    # Comparisons that would cross from one merged pair into the next are left out.
                    if step == span or (start + step) & (2 * span - 1):
                        for k in range(start, min(start + step, n - step)):
                            _exchange_inplace(bits[k, x : x + part], bits[k + step, x : x + part])
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
def _bits_to_order_inplace(bits):
    """Turn float32 bits into integers that sort as the numbers do, NaN of either sign above all."""
    for x in range(bits.size):
        size = bits[x] & np.int32(0x7FFFFFFF)
        order = bits[x] ^ ((bits[x] >> np.int32(31)) & np.int32(0x7FFFFFFF))
        bits[x] = size if size > np.int32(0x7F800000) else order


@helper
def _order_to_bits_inplace(bits):
    for x in range(bits.size):
        bits[x] = bits[x] ^ ((bits[x] >> np.int32(31)) & np.int32(0x7FFFFFFF))


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
