"""A step is its parameters and one call."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujw.exposure import Meta, Report
    from gpujw.references import Reference


class SkipStep(Exception):  # noqa: N818  an answer, not a fault
    """Raised by ``Step.prepare``: this exposure does not take the step, and why."""


@dataclass
class Tables:
    """Reference data as a step wants them, on the device.

    ``rows``: arrays whose first axis is the exposure's rows, cut with each block, C-contiguous after the cut;
    ``fixed``: arrays and numbers that every block sees whole.
    """

    rows: dict[str, Any] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.rows[name] if name in self.rows else self.fixed[name]

    def __contains__(self, name: str) -> bool:
        return name in self.rows or name in self.fixed


@dataclass(frozen=True, kw_only=True)
class Step:
    """Parameters as fields, the algorithm as ``__call__``; the runner does all the rest."""

    #: Reference types this step needs; where one is N/A the step is skipped.
    references: ClassVar[tuple[str, ...]] = ()
    #: Reference types it uses where there is one (``refs[type]`` is None otherwise).
    optional: ClassVar[tuple[str, ...]] = ()
    #: The keyword that says whether the step was done.
    status: ClassVar[str] = ""

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

    def __call__(self, exposure: Any, tables: Tables) -> Any:
        """The exposure after this step; its arrays are overwritten."""
        raise NotImplementedError

    def keywords(self, report: Report, meta: Meta) -> dict[str, Any]:
        """Header keywords that sum up what the step did to the whole exposure."""
        return {}
