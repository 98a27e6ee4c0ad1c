"""Bytes of FITS files, which are big-endian, to and from numbers."""

from __future__ import annotations

import numpy as np


def decode_counts(raw, data, *, row=0, column=0):
    """Counts of ``raw[nint, ngroup, nrow, ncol]``, big-endian uint16 with BZERO 32768 in native arrays, as float32.

    Fills ``data[nint, ngroup, ny, nx]`` with the window of ``raw`` that starts at ``row`` and ``column``.
    """
    ny, nx = data.shape[2:]
    window = np.ascontiguousarray(raw[:, :, row : row + ny, column : column + nx])
    data[:] = window.view(">i2").astype(np.float32) + 32768


def swap_inplace(words):
    """Turn the byte order of each of ``words``, uint32."""
    words.byteswap(inplace=True)


def encode_inplace(words, *, flip=0):
    """Native ``words``, uint32, to big-endian after an exclusive or with ``flip``; their plain sum, an array of one uint64.

    ``flip`` 0x80000000 is BZERO 2147483648, by which FITS holds unsigned numbers. The sum gives DATASUM.
    """
    words ^= np.uint32(flip)
    total = words.sum(dtype=np.uint64, keepdims=True).reshape(1)
    words.byteswap(inplace=True)
    return total
