"""Prepared reference data, kept where the arrays live for every exposure that needs them."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from gpujw.errors import GpujwError
from gpujw.references import Reference
from gpujw.step import SkipStep, Stage, Tables, why_skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from gpujw.exposure import Meta
    from gpujw.step import Step


class Shelf:
    """Tables by step, setup and files; within a budget of bytes, the least used go first."""

    def __init__(self, put: Callable[[Any], Any], budget: int) -> None:
        self._put, self._budget = put, budget
        self._shelf: OrderedDict[Any, Tables] = OrderedDict()

    def stages(self, steps: Iterable[Step], meta: Meta, files: Mapping[str, Path | None]) -> list[Stage]:
        """Each of ``steps`` ready for an exposure: with its tables, or with the reason why it is skipped."""
        refs = {reftype: None if path is None else Reference(reftype, path, meta) for reftype, path in files.items()}
        try:
            return [self._stage(step, meta, refs) for step in steps]
        finally:
            for ref in refs.values():
                if ref is not None:
                    ref.close()

    def _stage(self, step: Step, meta: Meta, refs: Mapping[str, Reference | None]) -> Stage:
        if reason := why_skipped(step, refs, meta):
            return Stage(step, skipped=reason)
        try:
            return Stage(step, self._tables(step, meta, refs))
        except SkipStep as skip:
            return Stage(step, skipped=str(skip))
        except GpujwError as error:
            raise type(error)(f"{meta.path}, step {step.name}: {error}") from error

    def _tables(self, step: Step, meta: Meta, refs: Mapping[str, Reference | None]) -> Tables:
        wanted = [refs.get(reftype) for reftype in (*step.requires(meta), *step.optional)]
        key = (step, meta.setup, tuple(ref and (str(ref.path), ref.path.stat().st_mtime_ns) for ref in wanted))
        if key not in self._shelf:
            self._shelf[key] = step.prepare(refs, meta).moved(self._put)
            while len(self._shelf) > 1 and sum(tables.nbytes for tables in self._shelf.values()) > self._budget:
                self._shelf.popitem(last=False)
        self._shelf.move_to_end(key)
        return self._shelf[key]


_DIGESTS: dict[tuple[str, int, int], str] = {}


def digest(path: Path) -> str:
    """The SHA-1 of a file, as CRDS keeps it; computed once for each state of the file."""
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    if key not in _DIGESTS:
        with path.open("rb") as file:
            _DIGESTS[key] = hashlib.file_digest(file, "sha1").hexdigest()
    return _DIGESTS[key]
