"""What a person sees while a batch runs: a bar with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from gpujw.batch import Result

#: Seconds between two heartbeat lines.
HEARTBEAT = 5.0


class Watch:
    """How far a batch of ``total`` exposures is."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.start = total, 0, time.monotonic()
        self.parts: dict[Path, float] = {}

    def tick(self, path: Path, fraction: float) -> None:
        """An exposure is done to this fraction."""
        self.parts[path] = fraction

    @property
    def fraction(self) -> float:
        """How much of the batch is done."""
        return (self.done + sum(self.parts.values())) / max(1, self.total)

    def follow(self, results: Iterable[Result]) -> Iterator[Result]:
        """Hand the results on, showing the progress meanwhile."""
        show = self._bar if sys.stderr.isatty() else self._heartbeat
        yield from show(results)

    def _count(self, result: Result) -> Result:
        self.parts.pop(result.path, None)
        self.done += 1
        return result

    def _bar(self, results: Iterable[Result]) -> Iterator[Result]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns: tuple[Any, ...] = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
        )
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        with Progress(*columns, MofNCompleteColumn(), *times, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("calibrating", total=self.total)
            with _Every(0.2, lambda: bar.update(task, completed=self.fraction * self.total)):
                for result in results:
                    yield self._count(result)

    def _heartbeat(self, results: Iterable[Result]) -> Iterator[Result]:
        with _Every(HEARTBEAT, self._beat):
            for result in results:
                yield self._count(result)

    def _beat(self) -> None:
        elapsed = time.monotonic() - self.start
        left = (
            f"{elapsed / self.fraction - elapsed:.0f} s left"
            if self.fraction > 0
            else "preparing (the first run compiles)"
        )
        at = ", ".join(f"{path.name} {100 * part:.0f} %" for path, part in list(self.parts.items()))
        print(
            f"gpujw: {self.done}/{self.total} done, {elapsed:.0f} s, {left}{', now ' + at if at else ''}",
            file=sys.stderr,
            flush=True,
        )


class _Every:
    """Call something every so many seconds, beside the work."""

    def __init__(self, seconds: float, call: Any) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._loop, args=(seconds, call), daemon=True)

    def _loop(self, seconds: float, call: Any) -> None:
        while not self._over.wait(seconds):
            call()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
