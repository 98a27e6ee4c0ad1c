"""Reference frames off the ramps: superbias, reset, dark."""

from __future__ import annotations

from gpujw.cpu_fallback._jit import kernel, prange


def subtract_frames_inplace(data, frames, *, hold=False):
    """Subtract reference frames from ramps: frame g from group g.

    ``data[nint, ngroup, ny, nx]`` DN, ``frames[ny, nset, nframe, nx]`` DN. Integration i takes set i, those past the
    last set take the last. Groups past the last frame take none or, with ``hold``, the last frame.
    """
    _subtract_frames(data, frames, hold)


@kernel
def _subtract_frames(data, frames, hold):
    nint, ngroup, ny, nx = data.shape
    _, nset, nframe, _ = frames.shape
    last = ngroup if hold else min(ngroup, nframe)
    for y in prange(ny):
        for i in range(nint):
            for g in range(last):
                frame = frames[y, min(i, nset - 1), min(g, nframe - 1)]
                for x in range(nx):
                    data[i, g, y, x] -= frame[x]
