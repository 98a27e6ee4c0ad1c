"""Many exposures: read ahead, calibrate, write behind; one that fails does not stop the others."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gpujw
from gpujw import backend, config, io, modes, outputs, products, stream
from gpujw.errors import DeviceMemoryError, GpujwError, HostMemoryError, Interrupted, StepError
from gpujw.exposure import Report
from gpujw.pipelines.detector1 import FAMILIES, STEP_NAMES
from gpujw.shelf import Shelf, digest
from gpujw.transfer import link
from gpujw.writer import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpujw.choose import Chooser
    from gpujw.step import Stage

#: Told of an exposure's path and of the fraction of it that is done.
Tick = Callable[[Path, float], None]
#: Bytes of reference data that are kept, and of products that may wait for the disk.
SHELF_BYTES = 8 << 30
WAITING_BYTES = 192 << 20


@dataclass(frozen=True)
class Request:
    """What to do with every exposure of a batch."""

    chooser: Chooser
    folder: Path | None = None  # beside the input where None
    layers: tuple[config.Layer, ...] = ()  # over the pars-* references
    save: tuple[str, ...] = ()  # steps whose result is written too; "ramp": the ramps that are fitted
    only: str | None = None  # this step alone
    use_pars: bool = True


@dataclass
class Result:
    """What became of one exposure."""

    path: Path
    products: list[Path] = field(default_factory=list)
    seconds: float = 0.0
    steps: dict[str, str] = field(default_factory=dict)  # step -> COMPLETE, or why it was skipped
    timings: dict[str, float] = field(default_factory=dict)
    keywords: dict[str, Any] = field(default_factory=dict)
    error: GpujwError | None = None


@dataclass
class Job:
    """One exposure, ready to be calibrated."""

    source: io.Source
    raw: io.Raw
    stages: list[Stage]
    files: dict[str, Path | None]
    configured: config.Configured
    result: Result


def run(
    paths: Sequence[Path], request: Request, homes: Sequence[str], tick: Tick = lambda path, fraction: None
) -> Iterator[Result]:
    """Calibrate ``paths`` on ``homes`` ("cpu", or devices' numbers); a result for each as it is done.

    ``tick`` is told how far an exposure is, as a fraction.
    """
    if len(homes) == 1:
        yield from Worker(request, homes[0], tick).run(paths)
        return
    results: queue.Queue[Result | None] = queue.Queue()

    def serve(i: int, home: str) -> None:
        try:
            for result in Worker(request, home, tick).run(paths[i :: len(homes)]):
                results.put(result)
        finally:
            results.put(None)

    with ThreadPoolExecutor(len(homes), "gpujw-device") as devices:
        served = [devices.submit(serve, i, home) for i, home in enumerate(homes)]
        for _ in served:
            yield from iter(results.get, None)
        for future in served:
            future.result()


class Worker:
    """One home's way of working: a thread reads the next exposure, one writes the last, this one computes."""

    def __init__(self, request: Request, home: str, tick: Tick) -> None:
        self.request, self.home, self.tick = request, home, tick
        self.backend = backend.open(home)
        self.link = link(home)
        self.shelf = Shelf(self.link.put, SHELF_BYTES)
        self.reader = io.Reader(self.link.allocate)
        self.budget = outputs.Budget(WAITING_BYTES)
        self.writing = ThreadPoolExecutor(1, "gpujw-write")
        self.closing = ThreadPoolExecutor(1, "gpujw-close")

    def run(self, paths: Sequence[Path]) -> Iterator[Result]:
        """A result for each path, in order; the last ones are waited for at the end."""
        done: list[Future[Result]] = []
        with ThreadPoolExecutor(1, "gpujw-read") as reading, self.writing, self.closing:
            ahead = [reading.submit(self._open, path) for path in paths[:1]]
            for i, path in enumerate(paths):
                job = self._opened(path, ahead.pop())
                ahead = [reading.submit(self._open, following) for following in paths[i + 1 : i + 2]]
                done.append(self._calibrate(job) if isinstance(job, Job) else _settled(job))
                while done and done[0].done():
                    yield done.pop(0).result()
            for future in done:
                yield future.result()

    def _opened(self, path: Path, ahead: Future[Job]) -> Job | Result:
        try:
            return ahead.result()
        except Exception as error:  # noqa: BLE001  an exposure that cannot be opened must not stop the others
            return Result(path, error=_told(path, error))

    def _open(self, path: Path) -> Job:
        """Everything that can be known and fetched before the computing: in the reader's thread."""
        source = io.open_exposure(path)
        meta, request = source.meta, self.request
        steps = FAMILIES[modes.stage1(meta).family]
        types = config.pars_types(steps)
        pars = request.chooser.choose(meta, (), types) if request.use_pars else {}
        configured = config.configure(steps, [*config.from_pars(pars, types), *request.layers], STEP_NAMES)
        asked = [step for step in configured.steps if request.only in (None, step.name)]
        taken = [step for step in asked if not step.skip and step.inapplicable(meta) is None]
        required = [reftype for step in taken for reftype in step.requires(meta)]
        files = request.chooser.choose(meta, required, [reftype for step in taken for reftype in step.optional])
        if self.home != "cpu":
            backend.open(self.home)  # the current device is each thread's own
        stages = self.shelf.stages(asked, meta, files)
        raw = self.reader.read(source)
        there = self.link.up(raw)
        if there is not raw:
            self.reader.release(raw)
        return Job(source, there, stages, files, configured, Result(path))

    def _calibrate(self, job: Job) -> Future[Result]:
        start = time.perf_counter()
        files = outputs.Outputs(job.source, self.link, self.backend.kernel("codec"), self.writing, self.budget)
        try:
            cards = self._compute(job, files)
        except KeyboardInterrupt:
            self._behind(lambda: self._give_up(job, files, Interrupted(f"{job.source.path}: stopped"))).result()
            raise
        except Exception as error:  # noqa: BLE001  whatever a step raised is this exposure's failure, not the batch's
            fault = error
            return self._behind(lambda: self._give_up(job, files, fault))
        return self._behind(lambda: self._finish(job, files, cards, start))

    def _compute(self, job: Job, files: outputs.Outputs) -> dict[str, Any]:
        """Take the exposure through its steps; the keywords that sum up what they did."""
        meta, report = job.source.meta, Report()
        ramps = {*self.request.save, *([self.request.only] if self.request.only else [])}
        cards = outputs.status_cards(job.stages, job.files, self.request.chooser.overrides)
        folder = self.request.folder or job.source.path.parent
        files.open(folder, job.stages, ramps, {**cards, **self.request.chooser.cards})
        job.result.steps = {s.step.name: s.skipped or "COMPLETE" for s in job.stages}
        stream.calibrate(
            job.stages,
            io.Loader(self.backend, meta, job.raw, report),
            job.source.shape,
            files.taps(job.stages[-1].step.name),
            cached=self.link.cached,
            tick=lambda fraction: self.tick(job.source.path, fraction),
        )
        self.link.settle()
        if self.home == "cpu":
            self.reader.release(job.raw)
        done = [stage for stage in job.stages if stage.skipped is None]
        job.result.timings = {stage.step.name: stage.seconds for stage in done}
        cards = {keyword: value for stage in done for keyword, value in stage.step.keywords(report, meta).items()}
        return {**report.keywords, **cards}

    def _behind(self, last: Callable[[], Result]) -> Future[Result]:
        """Run ``last`` when all that was handed to the writer before is written, beside what comes after."""
        outer: Future[Result] = Future()

        def close() -> None:
            try:
                outer.set_result(last())
            except BaseException as error:  # noqa: BLE001  handed on to who waits for it
                outer.set_exception(error)

        self.writing.submit(lambda: self.closing.submit(close))
        return outer

    def _finish(self, job: Job, files: outputs.Outputs, cards: dict[str, Any], start: float) -> Result:
        try:
            sums = files.finish(cards)
            job.result.products, job.result.keywords = files.paths, cards
            job.result.seconds = time.perf_counter() - start
            folder = self.request.folder or job.source.path.parent
            path = products.product_path(folder, job.source.path, "manifest").with_suffix(".json")
            write_whole(path, products.manifest(self._manifest(job, sums)))
        except GpujwError as error:
            return self._give_up(job, files, error)
        return job.result

    def _manifest(self, job: Job, sums: dict[str, dict[str, str]]) -> dict[str, Any]:
        source = job.source.path
        references = {t: None if f is None else {"path": str(f), "sha1": digest(f)} for t, f in job.files.items()}
        return {
            "gpujw": gpujw.__version__,
            "pipeline": "detector1",
            "device": self.home,
            "input": {"path": str(source), "bytes": source.stat().st_size},
            "references": references,
            **self.request.chooser.cards,
            "parameters": {step.name: config.parameters(step) for step in job.configured.steps},
            "sources": job.configured.sources,
            "steps": job.result.steps,
            "keywords": job.result.keywords,
            "seconds": {**job.result.timings, "total": job.result.seconds},
            "products": sums,
        }

    def _give_up(self, job: Job, files: outputs.Outputs, error: Exception) -> Result:
        files.abort()
        job.result.products, job.result.error = [], _told(job.source.path, error)
        return job.result


def _told(path: Path, error: Exception) -> GpujwError:
    """An error as it is told to a person, with its exit code."""
    if isinstance(error, GpujwError):
        return error
    where = " ".join(getattr(error, "__notes__", []))
    what = f"{path}: {where + ': ' if where else ''}{type(error).__name__}: {error}"
    kind = DeviceMemoryError if type(error).__name__ == "OutOfMemoryError" else StepError
    told = (HostMemoryError if isinstance(error, MemoryError) and kind is StepError else kind)(what)
    told.__cause__ = error
    return told


def _settled(result: Result) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(result)
    return future
