"""Bytes of FITS files, which are big-endian, to and from numbers."""

from __future__ import annotations

import cupy as cp
import numpy as np

from gpujw.kernels._load import THREADS, blocks, checked, launch, load


def decode_counts(raw, data, *, row=0, column=0):
    """Counts of ``raw[nint, ngroup, nrow, ncol]``, big-endian uint16 with BZERO 32768 in native arrays, as float32.

    Fills ``data[nint, ngroup, ny, nx]`` with the window of ``raw`` that starts at ``row`` and ``column``.
    """
    sizes = [np.int64(size) for size in (data.size, *data.shape[2:], *raw.shape[2:], row, column)]
    launch("codec", "decode_counts", data.size, raw, data, *sizes)


def swap_inplace(words):
    """Turn the byte order of each of ``words``, uint32."""
    launch("codec", "swap_words", words.size, words, np.int64(words.size))


def encode_inplace(words, *, flip=0):
    """Native ``words``, uint32, to big-endian after an exclusive or with ``flip``; their plain sum, an array of one uint64.

    ``flip`` 0x80000000 is BZERO 2147483648, by which FITS holds unsigned numbers. The sum gives DATASUM.
    """
    total = cp.zeros(1, np.uint64)
    if words.size:
        grid = min(blocks(words.size), (4096,))
        args = (words, total, np.int64(words.size), np.uint32(flip))
        load("codec").get_function("encode_words")(grid, (THREADS,), checked("encode_words", args))
    return total
