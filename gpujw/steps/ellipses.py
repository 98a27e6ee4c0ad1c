"""Ellipses with the moments of flagged regions, on the host: few numbers, whatever holds the pixels.

The peer measures regions with scikit-image's ``regionprops`` and paints them with its ``draw.ellipse``; these are the
same ellipses. A pixel whose center lies exactly on one is inside or outside by rounding, and may differ.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import atan2, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ellipses:
    """The frame, center, full axes (pixels) and angle from y to the major axis (degrees) of each of ``k`` ellipses.

    The axes are one pixel shorter than those of the moments, as the peer has them; the minor one may be negative.
    """

    frame: Floats
    x: Floats
    y: Floats
    minor: Floats
    major: Floats
    angle: Floats

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, which: Any) -> Ellipses:
        return Ellipses(*(getattr(self, field.name)[which] for field in fields(self)))


def covariances(table: Floats) -> tuple[Floats, Floats, Floats]:
    """Variances along x and y of the regions in ``table[k, 7]`` (of ``label.components``), and their covariance."""
    area, xx, xy, yy = table[:, 1], *table[:, 4:].T
    # A sum and a difference that look idle: scikit-image rounds so, and what is a whole axis must stay one.
    return (xx + yy - yy) / area, (xx + yy - xx) / area, xy / area


def measured(table: Floats) -> Ellipses:
    """The ellipses with the second moments of the regions in ``table[k, 7]``, uniform ones: half axes of 2 sigma."""
    xx, yy, xy = covariances(table)
    variances = np.linalg.eigvalsh(np.stack([xx, -xy, -xy, yy], axis=-1).reshape(-1, 2, 2)).clip(0)
    minor, major = 4 * np.sqrt(variances.T) - 1
    angle = [_angle(*moments) for moments in zip(xx.tolist(), yy.tolist(), xy.tolist(), strict=True)]
    return Ellipses(table[:, 0], table[:, 2], table[:, 3], minor, major, np.degrees(np.array(angle, np.float64)))


def _angle(xx: float, yy: float, xy: float) -> float:
    """From y towards x, -pi/2 to pi/2; a quarter turn, halved, where the axes are equal or at 45 degrees."""
    if xx == yy:
        return pi / 4 if xy > 0 else -pi / 4
    return 0.5 * atan2(2 * xy, yy - xx)


def contain(ellipses: Ellipses, x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Whether each ellipse contains the point of the same place in ``x[k]`` and ``y[k]``; its angle taken from x.

    The peer takes the angle from y where it draws, and from x here: ellipses that slant are mirrored.
    """
    angle = np.radians(180 - ellipses.angle)
    cosine, sine = np.cos(angle), np.sin(angle)
    dx, dy = x - ellipses.x, y - ellipses.y
    with np.errstate(divide="ignore", invalid="ignore"):  # an axis may be zero
        across = (dx * cosine - dy * sine) ** 2 / (ellipses.major * 0.5) ** 2
        along = (dx * sine + dy * cosine) ** 2 / (ellipses.minor * 0.5) ** 2
        return across + along <= 1


def outlines(ellipses: Ellipses, axes: tuple[Floats, Floats], group: int, shape: tuple[int, int]) -> Floats:
    """What to paint, ``[k, 12]`` as the ``ellipse`` kernels take it: around the same centers, full ``axes`` instead.

    Centers and half axes (minor, major) are rounded to pixels, halves to even; an ellipse with a half axis of zero is
    left out. ``shape``: rows and columns of the frame.
    """
    minor, major = (np.rint(axis / 2) for axis in axes)
    drawn = (minor != 0) & (major != 0)
    ellipses, minor, major = ellipses[drawn], minor[drawn], major[drawn]
    x, y = np.rint(ellipses.x), np.rint(ellipses.y)
    angle = np.radians(ellipses.angle) % np.pi
    sine, cosine = np.sin(angle), np.cos(angle)
    # The box from signed half axes: a negative one (a region one pixel wide) makes it, and what is drawn, narrower.
    reach = np.abs(major * cosine) + minor * sine, major * sine + np.abs(minor * cosine)
    margin = np.maximum(minor, major) + 2
    rows = _span(y, reach[0], margin, shape[0])
    columns = _span(x, reach[1], margin, shape[1])
    groups = np.full(len(x), group)
    return np.stack([ellipses.frame, groups, *rows, *columns, y, x, sine, cosine, major, minor], axis=1)


def _span(center: Floats, reach: Floats, margin: Floats, size: int) -> tuple[Floats, Floats]:
    """First pixel within ``reach`` of a center, and the pixel after the last, in a frame; empty is first = last."""
    # Counted from where the peer's cutout begins: the sums round as there.
    start = np.maximum(center - margin, 0)
    stop = np.minimum(center + margin + 1, size)
    first = np.maximum(np.ceil(center - start - reach), 0) + start
    last = np.minimum(np.floor(center - start + reach) + start, stop - 1)
    return first, np.maximum(last + 1, first)
