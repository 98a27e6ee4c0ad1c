"""The peer, run on the same exposures and references, and the table of what was compared."""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpujw.choose import SERVERLESS

from . import compare

ROWS, TRUTHS = pytest.StashKey[list](), pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[ROWS], config.stash[TRUTHS] = [], []


def pytest_terminal_summary(terminalreporter, config):
    tables = {"beside the peer": (compare.HEAD, ROWS), "beside the truth": (compare.TRUTH_HEAD, TRUTHS)}
    for title, (head, key) in tables.items():
        if rows := config.stash[key]:
            terminalreporter.section(title)
            for line in (head, *map(str, rows)):
                terminalreporter.write_line(line)


@pytest.fixture
def table(request):
    """Takes the rows that are printed at the end."""
    return request.config.stash[ROWS]


@pytest.fixture
def truths(request):
    """Takes the rows that set results against what was simulated."""
    return request.config.stash[TRUTHS]


@dataclass(frozen=True)
class Simulated:
    """An exposure and the environment that calibrates it."""

    uncal: Path
    out: Path

    def peer(self, **steps) -> Path:
        """The folder with the peer's products; the pipeline on one core, with ``steps``' parameters, run once."""
        from jwst.pipeline import Detector1Pipeline

        folder = self.out / "-".join(["peer", *(f"{k}={v}" for k, v in sorted(steps.items()))]).replace("/", "")[:200]
        if folder.exists():
            return folder
        folder.mkdir()
        logging.disable(logging.CRITICAL)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Detector1Pipeline.call(str(self.uncal), output_dir=str(folder), save_results=True, steps=steps)
        finally:
            logging.disable(logging.NOTSET)
        return folder

    def ours(self, **options) -> Path:
        """The folder with our products."""
        import gpujw

        folder = self.out / ("ours" + "-".join(sorted(options)))
        gpujw.detector1(self.uncal, output_dir=folder, device="cpu", offline=True, **options)
        return folder


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """Simulate a mode, once for each set of arguments, and point CRDS to its references."""
    from gpujw.simulate import simulate

    made: dict = {}

    def make(mode, **arguments) -> Simulated:
        key = (mode, *sorted(arguments.items()))
        if key not in made:
            out = tmp_path_factory.mktemp(mode)
            made[key] = Simulated(simulate(mode, out, **arguments)[0], out)
        use_cache(made[key].out / "crds")
        return made[key]

    return make


def use_cache(path: Path) -> None:
    """Let both packages take references from the CRDS cache at ``path``, and forget what crds knew of another."""
    os.environ.update(CRDS_PATH=str(path), CRDS_SERVER_URL=SERVERLESS, CRDS_OBSERVATORY="jwst")
    from crds.core import utils

    utils.clear_function_caches()
