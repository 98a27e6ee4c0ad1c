"""Steps that have their place in a pipeline but are not in this version: off by default, and refused when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpujw.errors import StepError
from gpujw.step import Step

if TYPE_CHECKING:
    from gpujw.exposure import Meta
    from gpujw.step import Tables


@dataclass(frozen=True, kw_only=True)
class Later(Step):
    """A step known by name: it is skipped, as by the peer's default, and an error (exit 30) when it is asked for."""

    called: str = ""
    keyword: str = ""
    skip: bool = True

    @property
    def name(self) -> str:
        """The peer's name of the step."""
        return self.called

    @property
    def status(self) -> str:  # type: ignore[override]
        """The keyword that says it was not done."""
        return self.keyword

    def inapplicable(self, meta: Meta) -> str | None:
        """Never quietly: whoever asks for the step is told that it is not there."""
        raise StepError(
            f"{meta.path}: step {self.name} is not in this version of gpujw; leave it out with --skip {self.name}"
        )

    def __call__(self, exposure: Any, tables: Tables) -> Any:
        """Unreachable: the runner asks ``inapplicable`` first."""
        raise StepError(f"step {self.name} is not in this version of gpujw")
