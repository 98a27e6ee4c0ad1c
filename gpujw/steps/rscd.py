"""Reset switch charge decay: MIRI's first groups, which the reset before them still bends, are not used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpujw import backend
from gpujw.dq import DO_NOT_USE, FLUX_ESTIMATED, SATURATED
from gpujw.step import SkipStep, Step, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujw.exposure import Meta, Ramp, Report
    from gpujw.references import Reference

FEW_GROUPS = 5  # ramps of no more groups give up one, whatever the table says
KEPT_GROUPS = 3  # the last one is lost to lastframe, and a slope takes two


@dataclass(frozen=True, kw_only=True)
class RSCD(Step):
    """Flag the first groups of MIRI's integrations DO_NOT_USE: fewer of them in the first, fewer in bright pixels."""

    references: ClassVar[tuple[str, ...]] = ("rscd",)
    status: ClassVar[str] = "S_RSCD"

    @property
    def name(self) -> str:
        """The peer's name of the step."""
        return "rscd"

    def inapplicable(self, meta: Meta) -> str | None:
        """Other instruments, and ramps too short to lose a group."""
        if not meta["DETECTOR"].startswith("MIR"):
            return f"detector {meta['DETECTOR']}: for MIRI only"
        too_few = meta["NGROUPS"] < KEPT_GROUPS
        return f"NGROUPS {meta['NGROUPS']}: too few groups, {KEPT_GROUPS} are needed" if too_few else None

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """How many groups the first integration loses, and how many the others."""
        reference = refs["rscd"]
        assert reference is not None
        subarray = "SLITLESSPRISM" if meta["SUBARRAY"].upper() == "SUBPRISM" else meta["SUBARRAY"]
        for row in reference.table("RSCD_GROUP_SKIP"):
            if (_text(row["subarray"]), _text(row["readpatt"])) == (subarray, meta["READPATT"]):
                first = int(row["group_skip1"])
                skips = (1 if first < 0 else first, int(row["group_skip"]))
                return Tables(fixed={"skips": tuple(groups_to_skip(skip, meta["NGROUPS"]) for skip in skips)})
        raise SkipStep(f"{reference.path.name} has no row for SUBARRAY {subarray}, READPATT {meta['READPATT']}")

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """The ramp without its first groups; FLUX_ESTIMATED where bright pixels keep some that others lose."""
        first, others = tables["skips"]
        start = ramp.meta.get("INTSTART", 1)
        split = 1 if start == 1 else 0
        if start == 1:
            self._flag(ramp, slice(0, 1), first, "INT1")
        if ramp.meta["NINTS"] > 1:
            self._flag(ramp, slice(split, None), others, "INT2")
        return ramp

    def keywords(self, report: Report, meta: Meta) -> dict[str, Any]:
        """For the first integration, INT1, and the others, INT2: pixels that lose fewer groups, and that keep all."""
        found: dict[str, Any] = {}
        for name in ("INT1", "INT2"):
            if f"{name}BORS" in report.counts:
                found[f"{name}BORS"] = int(report.counts[f"{name}BORS"])
                # The peer counts these only where some pixel asked to lose fewer.
                found[f"{name}UGP1"] = int(report.counts[f"{name}UGP1"]) if report.counts[f"{name}asked"] else 0
        return found

    def _flag(self, ramp: Ramp, ints: slice, skip: int, name: str) -> None:
        groupdq, pixeldq = ramp.groupdq[ints], ramp.pixeldq
        asked = saturated_among(groupdq, skip + 1)
        skips = skip - asked.clip(0, skip)
        for g in range(skip):
            flags = groupdq[:, g]
            flags |= (skips > g).astype(np.uint8) * np.uint8(DO_NOT_USE)
        lowered = (skips < skip).any(axis=0)
        pixeldq |= lowered.astype(np.uint32) * np.uint32(FLUX_ESTIMATED)
        ramp.report.keywords[f"{name}SKIP"] = skip
        counts = {"BORS": lowered, "UGP1": (skips == 0).any(axis=0), "asked": (asked > 0).any(axis=0)}
        for count, pixels in counts.items():  # three numbers a block come to the host, for the header
            ramp.report.add(f"{name}{count}", pixels[ramp.interior].sum())


def groups_to_skip(skip: int, ngroup: int) -> int:
    """``skip`` groups, or as many as leave enough of a ramp of ``ngroup``."""
    return min(1 if ngroup <= FEW_GROUPS else skip, max(0, ngroup - KEPT_GROUPS))


def saturated_among(groupdq: Any, last: int) -> Any:
    """How many of the groups 1 to ``last`` are saturated, ``[nint, ny, nx]``; 0 where group 0 is: beyond help."""
    xp = backend.of(groupdq).xp
    count = xp.zeros(groupdq[:, 0].shape, np.int16)
    for g in range(1, last + 1):
        count += (groupdq[:, g] & np.uint8(SATURATED)) != 0
    count *= (groupdq[:, 0] & np.uint8(SATURATED)) == 0
    return count


def _text(cell: Any) -> str:
    """A cell of a table of strings, which may be bytes and padded."""
    return (cell.decode() if isinstance(cell, bytes) else str(cell)).strip()
