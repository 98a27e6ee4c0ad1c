"""Exposures and their products in memory: device arrays, and host metadata beside them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gpujw.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Array = Any  # numpy.ndarray or cupy.ndarray: the array decides the backend


@dataclass(frozen=True)
class Meta:
    """The keywords of an exposure: the primary header's, then those of SCI that it lacks."""

    path: Path
    cards: Mapping[str, Any]

    def get(self, keyword: str, default: Any = None) -> Any:
        """The value of ``keyword``, or ``default`` where it is absent or undefined."""
        value = self.cards.get(keyword)
        return default if value is None else value

    def __getitem__(self, keyword: str) -> Any:
        value = self.cards.get(keyword)
        if value is None:
            raise InputError(
                f"{self.path}: keyword {keyword} is missing from the primary header; it is needed to calibrate"
            )
        return value

    @property
    def setup(self) -> tuple[Any, ...]:
        """What references are prepared for: equal for exposures that can share them."""
        return tuple(self.cards.get(keyword) for keyword in SETUP)

    @property
    def is_irs2(self) -> bool:
        """Whether the frames are NIRSpec's of 3200 rows, pixels and reference samples interleaved (``gpujw.irs2``)."""
        return bool(self.get("INSTRUME") == "NIRSPEC" and self.get("NAXIS2", 0) > 2048)

    @property
    def is_tso(self) -> bool:
        """Whether this is a time series: by its EXP_TYPE or TSOVISIT, with more than one integration."""
        types = {"NRC_TSIMAGE", "NRC_TSGRISM", "NIS_SOSS", "NRS_BRIGHTOBJ", "MIR_LRS-SLITLESS"}
        return (self.get("TSOVISIT") is True or self.get("EXP_TYPE") in types) and self["NINTS"] >= 2


#: All that preparing a reference may read of an exposure.
SETUP = (
    *("INSTRUME", "DETECTOR", "EXP_TYPE", "SUBARRAY", "SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2"),
    *("FASTAXIS", "SLOWAXIS", "NOUTPUTS", "READPATT", "NINTS", "NGROUPS", "NFRAMES", "GROUPGAP", "FRMDIVSR"),
    *("DRPFRMS1", "TFRAME", "TGROUP", "INTSTART", "ZEROFRAM", "GAINFACT", "NAXIS2", "NRS_NORM", "NRS_REF"),
)


@dataclass
class Report:
    """What the steps of one exposure count and say, block by block: numbers are summed, texts are kept."""

    counts: dict[str, float] = field(default_factory=dict)
    keywords: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, number: Any) -> None:
        """Add ``number`` (a host or device scalar) to the count ``name``."""
        self.counts[name] = self.counts.get(name, 0) + float(number)


@dataclass(frozen=True)
class Ramp:
    """A block of rows of an exposure, counts per group.

    ``data[nint, ngroup, ny, nx]`` float32 (DN); ``groupdq`` of the same shape, uint8; ``pixeldq[ny, nx]`` uint32;
    ``zeroframe[nint, ny, nx]`` float32 or None; ``dark_rate[ny, nx]`` float32 (e-/s, average dark current) or None.
    The arrays belong to the runner and are overwritten by the steps. ``rows`` are this block's rows in the exposure,
    ``interior`` those rows of the block that it answers for: the others are halo, seen but not kept.
    """

    data: Array
    groupdq: Array
    pixeldq: Array
    meta: Meta
    rows: slice
    interior: slice
    columns: slice = field(default_factory=lambda: slice(None))
    zeroframe: Array = None
    dark_rate: Array = None
    report: Report = field(default_factory=Report)

    def replace(self, **changes: Any) -> Ramp:
        """This ramp with some of its fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Rate:
    """Count rates of a block of rows: of the exposure, ``[ny, nx]``, or of each integration, ``[nint, ny, nx]``.

    ``data`` and ``err`` in DN/s, variances in (DN/s)^2, all float32; ``dq`` uint32.
    """

    data: Array
    err: Array
    dq: Array
    var_poisson: Array
    var_rnoise: Array


@dataclass(frozen=True)
class Slopes:
    """What ramps are fitted to: the rate of the exposure and those of its integrations."""

    rate: Rate
    ints: Rate
    meta: Meta
    rows: slice
    report: Report = field(default_factory=Report)

    def replace(self, **changes: Any) -> Slopes:
        """These slopes with some of their fields changed."""
        return replace(self, **changes)
