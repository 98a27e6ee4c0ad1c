"""A quick look at an exposure or a product as a PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpujw import dq
from gpujw.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def preview(path: Path, target: Path) -> Path:
    """Draw what ``path`` holds, counts or rates beside their flags, to ``target``.

    A raw exposure shows the difference of its last and first groups of the first integration; ``_rateints`` the first.
    """
    from matplotlib.figure import Figure

    image, flags, what = _image(path)
    figure = Figure(figsize=(11, 5.2) if flags is not None else (6.4, 5.6), layout="constrained", dpi=110)
    axes = figure.subplots(1, 2 if flags is not None else 1, squeeze=False)[0]
    low, high = _stretch(image)
    shown = axes[0].imshow(
        np.arcsinh((image - low) / max(high - low, 1e-30) * 10),
        origin="lower",
        cmap="inferno",
        vmin=0,
        vmax=np.arcsinh(10),
        interpolation="nearest",
        aspect="auto",
    )
    scale = figure.colorbar(shown, ax=axes[0], label=what)
    ticks = np.linspace(0, np.arcsinh(10), 5).tolist()
    scale.set_ticks(ticks, labels=[f"{low + np.sinh(t) / 10 * (high - low):.3g}" for t in ticks])
    axes[0].set_title(path.name, fontsize=9)
    if flags is not None:
        _draw_flags(axes[1], flags)
    figure.savefig(target)
    return target


def _image(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None, str]:
    from astropy.io import fits

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with fits.open(path) as hdus:
            if "SCI" not in hdus:
                raise InputError(f"{path}: extension SCI is missing; there is nothing to show")
            data = hdus["SCI"]
            if len(data.shape) == 4:
                last, first = data.section[0, -1], data.section[0, 0]
                return (
                    np.asarray(last, np.float32) - np.asarray(first, np.float32),
                    None,
                    "DN, last group less the first",
                )
            lead = (0,) * (len(data.shape) - 2)
            flags = np.asarray(hdus["DQ"].section[(*lead, ...)]) if "DQ" in hdus else None
            return np.asarray(data.section[(*lead, ...)], np.float32), flags, data.header.get("BUNIT", "")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _stretch(image: NDArray[Any]) -> tuple[float, float]:
    good = image[np.isfinite(image)]
    if good.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(good, (2, 99.7))
    return float(low), float(high)


#: Flags worth a colour of their own, the gravest last: it is drawn over the others.
_SHOWN = (("JUMP_DET", "#4c9be8"), ("SATURATED", "#f0c419"), ("REFERENCE_PIXEL", "#7a7a7a"), ("DO_NOT_USE", "#e4572e"))


def _draw_flags(axes: Any, flags: NDArray[Any]) -> None:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    kind = np.zeros(flags.shape, np.uint8)
    for i, (name, _) in enumerate(_SHOWN, start=1):
        kind[(flags & np.uint32(dq.BITS[name])) != 0] = i
    colors = ListedColormap(["#101018", *(color for _, color in _SHOWN)])
    axes.imshow(kind, origin="lower", cmap=colors, vmin=0, vmax=len(_SHOWN), interpolation="nearest", aspect="auto")
    share = [100 * float(np.mean((flags & np.uint32(dq.BITS[name])) != 0)) for name, _ in _SHOWN]
    handles = [Patch(color=color, label=f"{name} {s:.2f} %") for (name, color), s in zip(_SHOWN, share, strict=True)]
    axes.legend(handles=handles, fontsize=7, loc="upper right")
    axes.set_title("flags", fontsize=9)
