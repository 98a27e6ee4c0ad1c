"""A step is its parameters and one call; the runner here is all that skips, marks and times."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpujw import backend
from gpujw.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gpujw.exposure import Meta, Ramp, Report
    from gpujw.references import Reference


class SkipStep(Exception):  # noqa: N818  an answer, not a fault
    """Raised by ``Step.prepare``: this exposure does not take the step, and why."""


@dataclass
class Tables:
    """Reference data as a step wants them, on the device.

    ``rows``: arrays whose first axis is the exposure's rows and whose last its columns, cut with each block,
    C-contiguous after the cut; ``fixed``: arrays and numbers that every block sees whole.
    """

    rows: dict[str, Any] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.rows[name] if name in self.rows else self.fixed[name]

    def __contains__(self, name: str) -> bool:
        return name in self.rows or name in self.fixed

    def cut(self, rows: slice, columns: slice) -> Tables:
        """What a block of these rows and columns of the exposure needs."""

        def window(array: Any) -> Any:
            if rows.stop > array.shape[0]:
                held = f"reference data of {array.shape[0]} rows, an exposure of {rows.stop}"
                raise StepError(f"{held}: IRS2 frames must go through refpix, which takes their reference samples away")
            part = array[rows]
            whole = columns.indices(array.shape[-1])[:2] == (0, array.shape[-1])
            return part if whole else backend.of(array).xp.ascontiguousarray(part[..., columns])

        return Tables({name: window(array) for name, array in self.rows.items()}, self.fixed)

    def moved(self, put: Callable[[Any], Any]) -> Tables:
        """These tables with every array passed through ``put``."""
        moved = [
            {k: put(v) if isinstance(v, np.ndarray) else v for k, v in part.items()} for part in (self.rows, self.fixed)
        ]
        return Tables(*moved)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(getattr(a, "nbytes", 0) for part in (self.rows, self.fixed) for a in part.values())


@dataclass(frozen=True, kw_only=True)
class Step:
    """Parameters as fields, the algorithm as ``__call__``; the runner does all the rest."""

    #: Reference types this step needs; where one is N/A the step is skipped.
    references: ClassVar[tuple[str, ...]] = ()
    #: Reference types it uses where there is one (``refs[type]`` is None otherwise).
    optional: ClassVar[tuple[str, ...]] = ()
    #: The keyword that says whether the step was done.
    status: ClassVar[str] = ""
    #: Whether it measures on the edges of the frame before it is applied block by block.
    measures: ClassVar[bool] = False

    skip: bool = False

    @property
    def name(self) -> str:
        """The peer's name of the step, ``dark_current`` for ``DarkCurrent``."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    def halo(self, meta: Meta) -> int:
        """Rows beyond its own that this step must see to be right in its own."""
        return 0

    def whole(self, meta: Meta) -> bool:
        """Whether this step must see whole frames at once."""
        return False

    def inapplicable(self, meta: Meta) -> str | None:
        """Why an exposure with these keywords does not take this step, or None."""
        return None

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """Reference data, decoded and cut to the exposure, as host arrays; kept on the device for all that share them."""
        return Tables()

    def requires(self, meta: Meta) -> tuple[str, ...]:
        """Reference types without which an exposure with these keywords does not take this step."""
        return self.references

    def shape(self, meta: Meta, shape: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """The exposure's ``nint, ngroup, ny, nx`` after this step, of ``shape`` before it."""
        return shape

    def measure(self, edges: Mapping[str, Ramp], tables: Tables) -> Tables:
        """What is measured on the four-pixel edges of the frames, for a step that ``measures``."""
        raise NotImplementedError

    def __call__(self, exposure: Any, tables: Tables) -> Any:
        """The exposure after this step; its arrays are overwritten."""
        raise NotImplementedError

    def keywords(self, report: Report, meta: Meta) -> dict[str, Any]:
        """Header keywords that sum up what the step did to the whole exposure."""
        return {}


@dataclass
class Stage:
    """A step ready for one exposure: its reference data, or the reason why it is skipped."""

    step: Step
    tables: Tables = field(default_factory=Tables)
    skipped: str | None = None
    seconds: float = 0.0

    @contextmanager
    def timed(self, xp: Any) -> Iterator[None]:
        """Count the time of what is done within; on a GPU it is a named range for the profiler."""
        nvtx = None if xp is np else xp.cuda.nvtx
        start = time.perf_counter()
        if nvtx:
            nvtx.RangePush(self.step.name)
        try:
            yield
        except Exception as error:
            error.add_note(f"in step {self.step.name}")
            raise
        finally:
            if nvtx:
                nvtx.RangePop()
            self.seconds += time.perf_counter() - start


def why_skipped(step: Step, files: Mapping[str, Any], meta: Meta) -> str | None:
    """The reason, known from keywords and chosen references, why an exposure does not take ``step``, or None."""
    if step.skip:
        return "skip=True"
    if reason := step.inapplicable(meta):
        return reason
    absent = [reftype for reftype in step.requires(meta) if files.get(reftype) is None]
    return f"reference {absent[0]} is N/A" if absent else None


def run(stages: Sequence[Stage], ramp: Any, taps: Mapping[str, Callable[[Any], None]] | None = None) -> Any:
    """Apply every stage that is not skipped to a block; ``taps`` look at the block after the step they are named for."""
    for stage in stages:
        if stage.skipped is None:
            with stage.timed(backend.of(ramp.pixeldq if hasattr(ramp, "pixeldq") else ramp.rate.data).xp):
                columns = getattr(ramp, "columns", slice(None))
                ramp = stage.step(ramp, stage.tables.cut(ramp.rows, columns))
        if taps and stage.step.name in taps:
            taps[stage.step.name](ramp)
    return ramp
