"""Reference frames off the ramps: superbias, reset, dark."""

from __future__ import annotations

import numpy as np

from gpujw.kernels._load import launch


def subtract_frames_inplace(data, frames, *, hold=False):
    """Subtract reference frames from ramps: frame g from group g.

    ``data[nint, ngroup, ny, nx]`` DN, ``frames[ny, nset, nframe, nx]`` DN. Integration i takes set i, those past the
    last set take the last. Groups past the last frame take none or, with ``hold``, the last frame.
    """
    nint, ngroup, ny, nx = data.shape
    _, nset, nframe, _ = frames.shape
    n = nint * ny * nx
    sizes = [np.int64(size) for size in (n, ngroup, ny, nx, nset, nframe, hold)]
    launch("subtract", "subtract_frames", n, data, frames, *sizes)
