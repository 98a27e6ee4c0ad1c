"""Bytes of FITS files, which are big-endian, to and from numbers."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import kernel, prange


def decode_counts(raw, data, *, row=0, column=0):
    """Counts of ``raw[nint, ngroup, nrow, ncol]``, big-endian uint16 with BZERO 32768 in native arrays, as float32.

    Fills ``data[nint, ngroup, ny, nx]`` with the window of ``raw`` that starts at ``row`` and ``column``.
    """
    _decode(raw, data, row, column)


def swap_inplace(words):
    """Turn the byte order of each of ``words``, uint32."""
    words.byteswap(inplace=True)


def encode_inplace(words, *, flip=0):
    """Native ``words``, uint32, to big-endian after an exclusive or with ``flip``; their plain sum, an array of one uint64.

    ``flip`` 0x80000000 is BZERO 2147483648, by which FITS holds unsigned numbers. The sum gives DATASUM.
    """
    return np.array([_encode(words.reshape(-1), np.uint32(flip))], np.uint64)


@kernel
def _decode(raw, data, row, column):
    nint, ngroup, ny, nx = data.shape
    for y in prange(ny):
        for i in range(nint):
            for g in range(ngroup):
                for x in range(nx):
                    w = raw[i, g, row + y, column + x]
                    data[i, g, y, x] = np.uint16((w >> 8) | (w << 8)) ^ np.uint16(0x8000)


@kernel
def _encode(words, flip):
    total = np.uint64(0)
    chunk = 4096
    for c in prange((words.size + chunk - 1) // chunk):
        part = np.uint64(0)
        for i in range(c * chunk, min(words.size, (c + 1) * chunk)):
            w = words[i] ^ flip
            part += np.uint64(w)
            words[i] = (
                (w >> np.uint32(24))
                | ((w >> np.uint32(8)) & np.uint32(0xFF00))
                | ((w & np.uint32(0xFF00)) << np.uint32(8))
                | (w << np.uint32(24))
            )
        total += part
    return total
