"""Reference frames off the ramps: superbias, reset, dark."""

from __future__ import annotations


def subtract_frames_inplace(data, frames, *, hold=False):
    """Subtract reference frames from ramps: frame g from group g.

    ``data[nint, ngroup, ny, nx]`` DN, ``frames[ny, nset, nframe, nx]`` DN. Integration i takes set i, those past the
    last set take the last. Groups past the last frame take none or, with ``hold``, the last frame.
    """
    nint, ngroup, _, _ = data.shape
    _, nset, nframe, _ = frames.shape
    for i in range(nint):
        for g in range(ngroup if hold else min(ngroup, nframe)):
            data[i, g] -= frames[:, min(i, nset - 1), min(g, nframe - 1)]
