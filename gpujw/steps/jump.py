"""Jump: flag the groups in which a cosmic ray struck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpujw import backend
from gpujw.dq import DO_NOT_USE, JUMP_DET, NO_GAIN_VALUE, SATURATED
from gpujw.errors import UsageError
from gpujw.step import Step, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpujw.exposure import Array, Meta, Ramp, Report
    from gpujw.references import Reference

#: The peer's count of jumps where there are too few groups to look for any.
NOT_SEARCHED = -99


@dataclass(frozen=True, kw_only=True)
class Jump(Step):
    """Flag cosmic rays by the two-point difference (Anderson & Gordon 2011, PASP 123, 1237), and what they leave.

    Thresholds are in sigma, areas and radii in pixels, times in seconds. ``maximum_cores`` changes no result here, and
    ``use_ellipses`` none anywhere. The peer takes ``minimum_groups`` for 3 on one core; here it is obeyed.
    """

    references: ClassVar[tuple[str, ...]] = ("gain", "readnoise")
    status: ClassVar[str] = "S_JUMP"

    rejection_threshold: float = 4.0
    three_group_rejection_threshold: float = 6.0
    four_group_rejection_threshold: float = 5.0
    maximum_cores: str = "1"
    flag_4_neighbors: bool = True
    max_jump_to_flag_neighbors: float = 1000.0
    min_jump_to_flag_neighbors: float = 10.0
    after_jump_flag_dn1: float = 0.0
    after_jump_flag_time1: float = 0.0
    after_jump_flag_dn2: float = 0.0
    after_jump_flag_time2: float = 0.0
    expand_large_events: bool = False
    min_sat_area: float = 1.0
    min_jump_area: float = 5.0
    expand_factor: float = 2.0
    use_ellipses: bool = False
    sat_required_snowball: bool = True
    min_sat_radius_extend: float = 2.5
    sat_expand: int = 2
    edge_size: int = 25
    mask_snowball_core_next_int: bool = True
    snowball_time_masked_next_int: int = 4000
    find_showers: bool = False
    max_shower_amplitude: float = 4.0
    extend_snr_threshold: float = 1.2
    extend_min_area: int = 90
    extend_inner_radius: float = 1.0
    extend_outer_radius: float = 2.6
    extend_ellipse_expand_ratio: float = 1.1
    time_masked_after_shower: float = 15.0
    min_diffs_single_pass: int = 10
    max_extended_radius: int = 200
    minimum_groups: int = 3
    minimum_sigclip_groups: int = 100
    only_use_ints: bool = True

    def __post_init__(self) -> None:
        for name in ("rejection_threshold", "three_group_rejection_threshold", "four_group_rejection_threshold"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"jump.{name}={getattr(self, name)}: a number of sigma, 0 or more, is needed")

    def halo(self, meta: Meta) -> int:
        """A jump flags its neighbors in the rows above and below."""
        return int(self.flag_4_neighbors)

    def whole(self, meta: Meta) -> bool:
        """Large events may lie anywhere; MIRI's groups that no pixel of the frame may use are not counted as groups."""
        return bool(self.expand_large_events or self.find_showers or meta["INSTRUME"] == "MIRI")

    def inapplicable(self, meta: Meta) -> str | None:
        """Two groups have one difference, which stands out from no other."""
        return f"it needs 3 groups, there are {meta['NGROUPS']}" if meta["NGROUPS"] <= 2 else None

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """Gain (e-/DN), noise of the difference of two frames (e-), and the pixels without gain."""
        gain_reference, noise_reference = refs["gain"], refs["readnoise"]
        assert gain_reference is not None and noise_reference is not None
        gain = gain_reference.image()
        with np.errstate(invalid="ignore"):
            none = np.isnan(gain) | (gain <= 0)
        rows = {
            "gain": np.ascontiguousarray(gain),
            "readnoise": noise_reference.image() * gain,
            "dq": np.where(none, NO_GAIN_VALUE | DO_NOT_USE, 0).astype(np.uint32),
        }
        median = np.float32(np.nan) if np.isnan(gain).all() else np.nanmedian(gain)
        return Tables(rows=rows, fixed={"median_gain": median})

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """The ramp with jumps flagged in GROUPDQ; its counts are as they were."""
        ramp.pixeldq[:] |= tables["dq"]
        nint, ngroup, _, nx = ramp.data.shape
        # Only MIRI's steps give up groups of a whole frame (first, last, RSCD): the near-infrared need not look.
        unused = _unused_groups(ramp.groupdq) if ramp.meta["INSTRUME"] == "MIRI" else [0] * nint
        searched = self._flag_jumps(ramp, tables, self.method(nint, ngroup, unused))
        pixels = nx * len(range(ramp.data.shape[2])[ramp.interior])
        ramp.report.add("jump_pixels", pixels)
        ramp.report.add("jump_samples", pixels * (nint * (ngroup - 1) - sum(unused)))
        ramp.report.add("jump_unsearched", not searched)
        self._flag_large_events(ramp, tables)
        return ramp

    def method(self, nint: int, ngroup: int, unused: Sequence[int]) -> str | None:
        """How jumps are looked for, given how many groups of each integration no pixel may use; None: not at all.

        ``"clip"``: by sigma clipping; ``"single"``: all that stand out from the median; ``"search"``: one by one.
        """
        usable = ngroup - max(unused)
        compared = nint if self.only_use_ints else nint * ngroup - sum(unused)
        if compared >= self.minimum_sigclip_groups:
            return "clip"
        if usable < self.minimum_groups:
            return None
        return "single" if usable - 1 >= self.min_diffs_single_pass else "search"

    def _flag_jumps(self, ramp: Ramp, tables: Tables, method: str | None) -> bool:
        """Flag jumps, their neighbors and the groups after them, and count them; whether they were looked for."""
        here = backend.of(ramp.data)
        pixels = (ramp.data, ramp.groupdq, tables["gain"])
        if method is None:
            unusable = (ramp.groupdq & (DO_NOT_USE | SATURATED)) > 0
            ramp.groupdq[:] &= here.xp.where(unusable, ~np.uint8(JUMP_DET), np.uint8(0xFF))
            return False
        jump, noise, nframes = here.kernel("jump"), tables["readnoise"], ramp.meta["NFRAMES"]
        if method == "clip":
            clip = here.kernel("sigma_clip").flag_clipped_inplace
            count = clip(*pixels, threshold=self.rejection_threshold, by_group=self.only_use_ints)
            if self.whole(ramp.meta):
                ramp.report.add("jumps", -_restore_full_frames(ramp.groupdq))
        else:
            limits = {"thresholds": self._thresholds, "single_pass": method == "single"}
            count = jump.flag_outliers_inplace(*pixels, noise, nframes=nframes, **limits)
        ramp.report.add("jumps", count[ramp.interior].sum())
        if self.flag_4_neighbors:
            low, high = self.min_jump_to_flag_neighbors, self.max_jump_to_flag_neighbors
            jump.flag_neighbors_inplace(*pixels, noise, nframes=nframes, low=low, high=high)
        times = (self.after_jump_flag_time1, self.after_jump_flag_time2)
        later = tuple(int(time // ramp.meta["TGROUP"]) for time in times)
        if max(later) > 0:
            least = (self.after_jump_flag_dn1, self.after_jump_flag_dn2)
            electrons = tuple(dn * tables["median_gain"] for dn in least)
            jump.flag_after_jumps_inplace(*pixels, electrons=electrons, ngroups=later)
        return True

    @property
    def _thresholds(self) -> tuple[float, float, float]:
        """Of four differences or more, of three, of two."""
        return self.rejection_threshold, self.four_group_rejection_threshold, self.three_group_rejection_threshold

    def _flag_large_events(self, ramp: Ramp, tables: Tables) -> None:
        # The peer reports the number of the last kind that it was asked for.
        if self.expand_large_events or self.find_showers:
            from gpujw.steps.large_events import flag_showers_inplace, flag_snowballs_inplace

            events = flag_snowballs_inplace(ramp, self) if self.expand_large_events else 0
            events = flag_showers_inplace(ramp, self, tables) if self.find_showers else events
            ramp.report.add("jump_events", events)

    def keywords(self, report: Report, meta: Meta) -> dict[str, Any]:
        """Cosmic rays per second and thousand pixels, large events per second and million."""
        count = report.counts
        pixels = count.get("jump_pixels", 0)
        groups = round(count["jump_samples"] / pixels) if pixels else 0
        if groups < 1:
            return {}
        exposed = meta["TGROUP"] * groups * pixels
        jumps = NOT_SEARCHED if count["jump_unsearched"] else count["jumps"]
        return {"PRIMECRS": 1000 * jumps / exposed, "EXTNCRS": 1e6 * count.get("jump_events", 0) / exposed}


def _unused_groups(groupdq: Array) -> list[int]:
    """How many groups of each integration no pixel may use."""
    # Numbers read back from the device, of one pixel and of the few frames it has lost: the method depends on them.
    lost = (groupdq[:, :, 0, 0] & DO_NOT_USE).tolist()
    where = [(i, g) for i, row in enumerate(lost) for g, flag in enumerate(row) if flag]
    full = [(groupdq[i, g] & DO_NOT_USE).all() for i, g in where]
    unused = backend.of(groupdq).xp.stack(full).tolist() if full else []
    return [sum(is_full for (i, _), is_full in zip(where, unused, strict=True) if i == n) for n in range(len(lost))]


def _restore_full_frames(groupdq: Array) -> float:
    """Take jumps away where every pixel of a group has one or may not be used: not cosmic rays; how many.

    Where blocks are not whole frames this is left out: near-infrared frames have reference pixels, which have no jumps.
    """
    xp = backend.of(groupdq).xp
    # Read back from the device, of one pixel: few groups can be full.
    first = (groupdq[:, :, 0, 0] & (JUMP_DET | DO_NOT_USE)).tolist()
    restored = 0.0
    for i, g in ((i, g) for i, row in enumerate(first) for g, flag in enumerate(row) if flag):
        frame = groupdq[i, g]
        jumped = (frame == JUMP_DET) & ((frame & (JUMP_DET | DO_NOT_USE)) > 0).all()
        frame[:] = xp.where(jumped, np.uint8(0), frame)
        restored += float(jumped.sum())
    return restored
