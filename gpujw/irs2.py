"""NIRSpec's IRS2 readout: which rows of a frame hold pixels, which reference samples, and when each was read.

Five outputs lie one after the other along the rows of the science frame: the reference output, then four amplifiers. An
amplifier reads 16 pixels of a line, steps out to 4 samples of reference pixels, steps back in; the reference output
reads along. The first and last 8 of a line are pixels. A step costs the time of one pixel, a new line that of 8.
Moseley et al. 2010 (Proc. SPIE 7742, 77421B); Rauscher et al. 2017 (PASP 129, 105003).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpujw.exposure import Array, Meta
    from gpujw.step import Tables

NORMAL, REFERENCE = 16, 4  # pixels before a step to the references, and samples read there
OUTPUTS = 5  # the reference output is the first
PERIOD = NORMAL + REFERENCE  # samples from one step to the next
TICKS = PERIOD + 2  # the same in time, in units of a pixel
LINE_OVERHEAD = 8
ROWS, PIXELS = 3200, 2048  # of a frame as it comes, and of the detector


def is_reference(nrow: int) -> NDArray[np.bool_]:
    """Whether each row of a frame holds samples taken at the references, whatever the output; the same read backwards."""
    place = np.arange(nrow) % (nrow // OUTPUTS)
    return np.asarray((place - NORMAL // 2) % PERIOD < REFERENCE)


def is_pixel(nrow: int, *, reverse: bool) -> NDArray[np.bool_]:
    """Whether each row of a frame holds pixels of the detector; ``reverse``: the reference output comes last."""
    pixels = ~is_reference(nrow)
    pixels[: nrow // OUTPUTS] = False
    return pixels[::-1] if reverse else pixels


def ticks(nrow: int) -> int:
    """Time from line to line, in units of a pixel."""
    return nrow // OUTPUTS // PERIOD * TICKS + LINE_OVERHEAD


def tick_of(nrow: int) -> NDArray[np.int64]:
    """When each sample of an output is read, in ticks from the start of its line."""
    sample = np.arange(nrow // OUTPUTS)
    # Steps out to the references; each costs a tick, and one more to return.
    steps = (sample + PERIOD - NORMAL // 2) // PERIOD
    return sample + 2 * steps - is_reference(nrow)[: sample.size]


def rows_in_time(nrow: int, *, reverse: bool) -> NDArray[np.int64]:
    """``[output, sample]`` the rows of a frame in the order in which they are read; every other output is read backwards."""
    rows = np.arange(nrow)[:: -1 if reverse else 1].reshape(OUTPUTS, -1)
    return np.where(np.arange(OUTPUTS)[:, None] % 2 == 0, rows[:, ::-1], rows)


def reverse(meta: Meta) -> bool:
    """Whether a detector's frames are turned by half a turn: NRS2's are."""
    return bool(meta["DETECTOR"] == "NRS2")


@cache
def pixels_before(*, reverse: bool) -> NDArray[np.int64]:
    """``[ROWS + 1]`` how many rows of pixels lie before each row of a frame."""
    return np.concatenate([[0], np.cumsum(is_pixel(ROWS, reverse=reverse))])


def interleave(plane: NDArray[Any], *, reverse: bool, fill: float = 0) -> NDArray[Any]:
    """``plane[PIXELS, nx]`` of a reference file spread over the rows ``[ROWS, nx]`` of a frame, ``fill`` between them."""
    frame = np.full((ROWS, plane.shape[1]), fill, plane.dtype)
    frame[is_pixel(ROWS, reverse=reverse)] = plane
    return frame


def plan(*, reverse: bool) -> dict[str, NDArray[np.int64]]:
    """What ``rows_of_pixels`` needs where the arrays live."""
    return {"pixels": np.flatnonzero(is_pixel(ROWS, reverse=reverse))}


def rows_of_pixels(rows: slice, tables: Tables, meta: Meta) -> Array:
    """Which rows of a block that covers ``rows`` of the exposure hold pixels; ``tables`` with the ``plan``."""
    first, last = (int(pixels_before(reverse=reverse(meta))[row]) for row in (rows.start, rows.stop))
    return tables["pixels"][first:last] - rows.start


def halo(pixels: int) -> int:
    """Rows of a frame within which that many rows of pixels lie beyond any row."""
    return pixels + REFERENCE * -(-pixels // NORMAL)
