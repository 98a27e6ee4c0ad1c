"""Differences of successive groups, as jumps are searched for in them."""

from __future__ import annotations

import numpy as np

from gpujw.cpu_fallback._jit import helper
from gpujw.dq import DO_NOT_USE, JUMP_DET, SATURATED

BAD = np.uint8(DO_NOT_USE | SATURATED)
JUMP = np.uint8(JUMP_DET)
NAN = np.float32(np.nan)


@helper
def difference_to(data, groupdq, gain, i, g, y, x):
    """Electrons that group ``g`` has more than the one before it; NaN where either is unusable."""
    if (groupdq[i, g - 1, y, x] | groupdq[i, g, y, x]) & BAD:
        return NAN
    return data[i, g, y, x] * gain - data[i, g - 1, y, x] * gain


@helper
def count_jumps_inplace(groupdq, y):
    """How many groups of row ``y`` have a jump already; from those that are unusable it is taken away."""
    nint, ngroup, _, nx = groupdq.shape
    count = 0
    for i in range(nint):
        for g in range(ngroup):
            flags = groupdq[i, g, y]
            some = np.uint8(0)
            for x in range(nx):
                some = np.uint8(some | flags[x])
            if some & JUMP:
                for x in range(nx):
                    if flags[x] & JUMP:
                        count += 1
                        flags[x] = flags[x] & ~JUMP if flags[x] & BAD else flags[x]
    return count
