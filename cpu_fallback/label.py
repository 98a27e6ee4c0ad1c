"""Connected components of flagged pixels."""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import intrinsic

from gpujw.cpu_fallback._jit import helper, kernel, prange

CHUNK = 64  # columns that are passed over together where none is flagged


def components(flags, *, bit, min_area):
    """List the 8-connected regions of flagged pixels that fill at least ``min_area`` pixels.

    ``flags[n, ny, nx]`` uint8; a pixel counts where it holds ``bit``. Returns float64 ``table[k, 7]``, on the host on
    either side, ordered by frame and by first pixel in reading order: frame, area, x and y of the center, and the sums
    of dx^2, dx dy and dy^2 about it (second moments: Hu 1962, IRE Trans. Inf. Theory 8, 179). The area that must reach
    ``min_area`` includes holes: other pixels that no 8-connected path leads out of. The sums run down each column, then
    over the columns with fused multiply-add, as in the matrix products by which scikit-image forms them: same bits.
    """
    n, ny, _ = flags.shape
    first = np.zeros(n * ny + 1, np.int64)
    _count_runs(flags, np.uint8(bit), first)
    np.cumsum(first, out=first)
    starts, ends = np.empty((2, first[-1]), np.int32)
    _find_runs(flags, np.uint8(bit), first, starts, ends)
    name = np.empty(starts.size, np.int64)
    table = np.zeros((_join(first, starts, ends, ny, name), 8), np.int64)
    _measure(first, starts, ends, ny, name, table)
    kept = np.flatnonzero(_fill(first, starts, ends, ny, name, table, min_area) >= min_area)
    moments = np.empty((kept.size, 3))
    _sum_moments(first, starts, ends, ny, name, table, kept, moments)
    return np.concatenate([table[kept, :2], table[kept, 2:4] / table[kept, 1:2], moments], axis=1)


@kernel
def _count_runs(flags, bit, first):
    """``first[row + 1]``: how many runs of flagged pixels row ``row`` holds, frames end to end."""
    n, ny, _ = flags.shape
    for row in prange(n * ny):
        first[row + 1] = _count_row(flags[row // ny, row % ny], bit)


@helper
def _count_row(row, bit):
    nx = row.size
    runs = 0
    before = np.uint8(0)
    for x0 in range(0, nx - CHUNK + 1, CHUNK):
        some = before
        for x in range(CHUNK):
            some = np.uint8(some | row[x0 + x])
        if some & bit:
            for x in range(CHUNK):
                now = np.uint8(row[x0 + x] & bit)
                runs += (now != 0) & (before == 0)
                before = now
    for x in range(nx - nx % CHUNK, nx):
        now = np.uint8(row[x] & bit)
        runs += (now != 0) & (before == 0)
        before = now
    return runs


@kernel
def _find_runs(flags, bit, first, starts, ends):
    """Columns ``starts[r]`` to ``ends[r]`` (not included) of each run, row by row."""
    n, ny, _ = flags.shape
    for row in prange(n * ny):
        if first[row] < first[row + 1]:
            _find_row(flags[row // ny, row % ny], bit, starts[first[row] :], ends[first[row] :])


@helper
def _find_row(row, bit, starts, ends):
    nx = row.size
    r = 0
    before = np.uint8(0)
    for x0 in range(0, nx, CHUNK):
        some = before
        for x in range(x0, min(x0 + CHUNK, nx)):
            some = np.uint8(some | row[x])
        if some & bit:
            for x in range(x0, min(x0 + CHUNK, nx)):
                now = np.uint8(row[x] & bit)
                if now and not before:
                    starts[r] = x
                if before and not now:
                    ends[r] = x
                    r += 1
                before = now
    if before:
        ends[r] = nx


@helper
def _join(first, starts, ends, ny, name):
    """``name[r]``: the component of run ``r``, by union of runs that touch; how many there are.

    He, Chao & Suzuki 2008, IEEE Trans. Image Process. 17, 749.
    """
    parent = np.arange(starts.size)
    for row in range(first.size - 1):
        if row % ny:
            _join_rows(first, starts, ends, row, parent)
    count = 0
    for r in range(starts.size):  # a parent comes before its children, and has its name by now
        if parent[r] == r:
            name[r] = count
            count += 1
        else:
            name[r] = name[parent[r]]
    return count


@helper
def _join_rows(first, starts, ends, row, parent):
    """Join each run of ``row`` with those of the row before that it touches, diagonally too."""
    above = first[row - 1]
    for r in range(first[row], first[row + 1]):
        while above < first[row] and ends[above] < starts[r]:
            above += 1
        k = above
        while k < first[row] and starts[k] <= ends[r]:
            a, b = _root(parent, k), _root(parent, r)
            parent[max(a, b)] = min(a, b)
            k += 1


@helper
def _root(parent, r):
    while parent[r] != r:
        parent[r] = parent[parent[r]]
        r = parent[r]
    return r


@helper
def _measure(first, starts, ends, ny, name, table):
    """Frame, area, sums of x and y of each component, and the box around it: rows, columns, the last not included."""
    for row in range(first.size - 1):
        y = row % ny
        for r in range(first[row], first[row + 1]):
            t = table[name[r]]
            x0, x1 = np.int64(starts[r]), np.int64(ends[r])
            if t[1] == 0:
                t[0], t[4], t[6] = row // ny, y, x0
            t[1] += x1 - x0
            t[2] += (x0 + x1 - 1) * (x1 - x0) // 2
            t[3] += y * (x1 - x0)
            t[5], t[6], t[7] = y + 1, min(t[6], x0), max(t[7], x1)


@intrinsic
def _fma(typing, a, b, c):
    """``a * b + c``, rounded once."""

    def generate(context, builder, signature, args):
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), generate


@helper
def _sum_moments(first, starts, ends, ny, name, table, kept, moments):
    """Second moments of the components ``kept``."""
    for k in range(kept.size):
        _, area, sx, sy, y0, y1, x0, x1 = table[kept[k]]
        # About a center measured from the corner of the box, for the bits.
        x, y = (sx - area * x0) / area, (sy - area * y0) / area
        columns = np.zeros((3, x1 - x0))
        for row in range(table[kept[k], 0] * ny + y0, table[kept[k], 0] * ny + y1):
            dy = row % ny - y0 - y
            for r in range(first[row], first[row + 1]):
                for column in range(starts[r] - x0, ends[r] - x0 if name[r] == kept[k] else starts[r] - x0):
                    columns[0, column] += 1
                    columns[1, column] += dy
                    columns[2, column] += dy * dy
        xx = xy = yy = 0.0
        for column in range(x1 - x0):
            dx = column - x
            xx = _fma(columns[0, column], dx * dx, xx)
            xy = _fma(columns[1, column], dx, xy)
            yy += columns[2, column]
        moments[k, 0], moments[k, 1], moments[k, 2] = xx, xy, yy


def _fill(first, starts, ends, ny, name, table, min_area):
    """The area of each component, with its holes where these could lift it to ``min_area``.

    The wall around a hole takes eight pixels, and nothing outside the bounding box is filled.
    """
    area = table[:, 1].copy()
    height, width = table[:, 5] - table[:, 4], table[:, 7] - table[:, 6]
    short = (area < min_area) & (area >= 8) & (np.minimum(height, width) >= 3) & (height * width >= min_area)
    for component in np.flatnonzero(short):
        frame, y0, y1, x0, x1 = table[component, [0, 4, 5, 6, 7]]
        rows = first[frame * ny + y0 : frame * ny + y1 + 1]
        area[component] = _filled(component, rows, starts, ends, name, x0, x1)
    return area


@helper
def _filled(component, rows, starts, ends, name, x0, x1):
    """The area of one component with its holes: all of its bounding box that the outside cannot flow into."""
    height, width = rows.size + 1, x1 - x0 + 2
    state = np.zeros((height, width), np.uint8)  # 0 not reached, 1 wall, 2 outside
    for y in range(height):
        for x in range(width):
            state[y, x] = 2 if y in (0, height - 1) or x in (0, width - 1) else 0
    for y in range(rows.size - 1):
        for r in range(rows[y], rows[y + 1]):
            for x in range(starts[r] - x0 + 1, ends[r] - x0 + 1):
                state[y + 1, x] = 1 if name[r] == component else state[y + 1, x]
    while _flow(state, 1) or _flow(state, -1):
        pass
    area = 0
    for y in range(height):
        for x in range(width):
            area += state[y, x] != 2
    return area


@helper
def _flow(state, step):
    """Let the outside flow one sweep down, or up where ``step`` is -1; whether it got anywhere."""
    height, width = state.shape
    gained = False
    for j in range(1, height - 1):
        for i in range(1, width - 1):
            y, x = (j, i) if step > 0 else (height - 1 - j, width - 1 - i)
            if state[y, x] == 0 and _beside_outside(state, y, x):
                state[y, x] = 2
                gained = True
    return gained


@helper
def _beside_outside(state, y, x):
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            if state[y + dy, x + dx] == 2:
                return True
    return False
