"""The products of one exposure, from the blocks that the steps leave to whole files."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gpujw import io, modes, products, tables
from gpujw.errors import OutputError, StepError
from gpujw.writer import FLIP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from gpujw.exposure import Ramp, Rate, Slopes
    from gpujw.step import Stage
    from gpujw.transfer import HostLink
    from gpujw.writer import ProductFile

#: Extension and field of a rate's planes.
PLANES = {"SCI": "data", "ERR": "err", "DQ": "dq", "VAR_POISSON": "var_poisson", "VAR_RNOISE": "var_rnoise"}
#: The ramps that are fitted are those after this step.
CALIBRATED = "persistence"


class Budget:
    """Bytes that wait to be written: the compute thread stops here when the disk is slower."""

    def __init__(self, limit: int) -> None:
        self._limit, self._used, self._changed = limit, 0, threading.Condition()

    def take(self, nbytes: int) -> None:
        """Wait until ``nbytes`` fit, or nothing else is waiting."""
        with self._changed:
            self._changed.wait_for(lambda: self._used == 0 or self._used + nbytes <= self._limit)
            self._used += nbytes

    def give(self, nbytes: int) -> None:
        """``nbytes`` are written."""
        with self._changed:
            self._used -= nbytes
            self._changed.notify_all()


class Outputs:
    """Product files that take blocks of planes from the compute thread and write them in another."""

    def __init__(self, source: io.Source, link: HostLink, kernel: Any, writing: Executor, budget: Budget) -> None:
        self._source, self._link, self._codec = source, link, kernel
        self._writing, self._budget = writing, budget
        self._files: dict[str, ProductFile] = {}
        self._fault: OutputError | None = None

    @property
    def paths(self) -> list[Path]:
        """The products' final names."""
        return [file.path for file in self._files.values()]

    def open(self, folder: Path, stages: Sequence[Stage], ramps: set[str], cards: Mapping[str, Any]) -> None:
        """Make the files: rates if ramps are fitted, and the ramps after each step named in ``ramps``."""
        names = [stage.step.name for stage in stages]
        unknown = ramps - {*names, "ramp"}
        if unknown:
            raise StepError(f"--save {', '.join(sorted(unknown))}: no such step; there are ramp, {', '.join(names)}")
        source = self._source
        shapes = _shapes(stages, source)
        fitted = any(stage.step.name == "ramp_fit" and stage.skipped is None for stage in stages)
        if fitted:
            nint, _, ny, nx = shapes["ramp_fit"]
            model = "IFUImageModel" if modes.is_ifu(source.meta) else "ImageModel"
            for suffix, shape, kind in (("rate", (ny, nx), model), ("rateints", (nint, ny, nx), "CubeModel")):
                path = products.product_path(folder, source.path, suffix)
                self._files[suffix] = products.slopes_product(path, source, shape, kind, cards)
        for name in sorted(ramps - {"ramp_fit", "gain_scale"} if fitted else ramps or {"ramp"}):
            path = products.product_path(folder, source.path, name)
            whole = shapes.get(CALIBRATED if name == "ramp" else name, source.shape)
            self._files[name] = products.ramp_product(path, source, whole, cards)
        self._make(folder)

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            needed, free = sum(file.nbytes for file in self._files.values()), io.free_space(folder)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written to: {error.strerror}") from error
        if needed > free:
            what = f"the products of {self._source.path.name} need {needed / 2**20:.0f} MiB"
            raise OutputError(f"{folder}: disk full: {what}, {free / 2**20:.0f} MiB are free")
        for file in self._files.values():
            file.open()

    def taps(self, last: str) -> dict[str, Callable[[Any], None]]:
        """What takes the blocks, by the step after which it does; ``last`` is the pipeline's last step."""
        taps: dict[str, Callable[[Any], None]] = {}
        for name, file in self._files.items():
            if name not in ("rate", "rateints"):
                taps[CALIBRATED if name == "ramp" else name] = partial(self._save_ramp, file)
        if "rate" in self._files:
            taps[last] = self._save_slopes
        return taps

    def _save_slopes(self, slopes: Slopes) -> None:
        self._save_rate(self._files["rate"], slopes.rate, slopes.rows.start)
        self._save_rate(self._files["rateints"], slopes.ints, slopes.rows.start)

    def _save_rate(self, file: ProductFile, rate: Rate, row: int) -> None:
        for name, field in PLANES.items():
            self._save(file, name, row, getattr(rate, field))

    def _save_ramp(self, file: ProductFile, ramp: Ramp) -> None:
        row = ramp.rows.start + ramp.interior.start
        planes = {"SCI": ramp.data, "PIXELDQ": ramp.pixeldq, "GROUPDQ": ramp.groupdq, "ZEROFRAME": ramp.zeroframe}
        for name, array in planes.items():
            if array is not None:
                self._save(file, name, row, array[..., ramp.interior, :].copy())

    def _save(self, file: ProductFile, name: str, row: int, array: Any) -> None:
        """Hand a block of a plane over to the thread that writes, in the file's byte order; ``array`` is used up."""
        total = None
        if array.dtype.itemsize == 4:
            words = array.view(np.uint32)
            total = self._link.down(self._codec.encode_inplace(words, flip=FLIP[array.dtype.name]))
            array = words
        host = self._link.down(array)
        self._budget.take(array.nbytes)
        self._writing.submit(self._write, file, name, row, host, total)

    def _write(self, file: ProductFile, name: str, row: int, host: Callable[[], Any], total: Any) -> None:
        block = host()
        try:
            file.put(name, row, block, None if total is None else int(total()[0]))
        except OutputError as error:
            self._fault = self._fault or error
        finally:
            self._budget.give(block.nbytes)

    def finish(self, cards: dict[str, Any]) -> dict[str, dict[str, str]]:
        """Complete every file and give it its name; each one's DATASUMs."""
        if self._fault:
            raise self._fault
        return {file.path.name: file.finish(cards) for file in self._files.values()}

    def abort(self) -> None:
        """Leave nothing behind that is not whole."""
        for file in self._files.values():
            file.abort()


def _shapes(stages: Sequence[Stage], source: io.Source) -> dict[str, tuple[int, int, int, int]]:
    """The exposure's ``nint, ngroup, ny, nx`` after each step."""
    shape, shapes = source.shape, {}
    for stage in stages:
        if stage.skipped is None:
            shape = stage.step.shape(source.meta, shape)
        shapes[stage.step.name] = shape
    return shapes


def status_cards(stages: Sequence[Stage], files: Mapping[str, Path | None], given: Mapping[str, str]) -> dict[str, Any]:
    """``S_*`` and ``R_*`` keywords: which steps were done, and with which files (``given``: those of the user)."""
    cards: dict[str, Any] = {s.step.status: "SKIPPED" if s.skipped else "COMPLETE" for s in stages if s.step.status}
    keyword = {path: key for key, path in tables.paths().items()}
    for reftype, path in files.items():
        key = keyword.get(f"meta.ref_file.{reftype}.name")
        if key:
            cards[key] = "N/A" if path is None else path.name if reftype in given else f"crds://{path.name}"
    return cards
