"""The command line's pipelines as Python functions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpujw import backend, batch, config
from gpujw.choose import Chooser
from gpujw.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from os import PathLike


def detector1(
    files: str | PathLike[str] | Iterable[str | PathLike[str]],
    *,
    device: str = "auto",
    output_dir: str | PathLike[str] | None = None,
    refs: str | PathLike[str] | None = None,
    overrides: Mapping[str, str] | None = None,
    config_file: str | PathLike[str] | None = None,
    save: Iterable[str] = (),
    skip: Iterable[str] = (),
    offline: bool = False,
    **steps: Mapping[str, Any],
) -> list[batch.Result]:
    """Raw ramps to slopes: write ``_rate.fits`` and ``_rateints.fits`` for each ``_uncal.fits``.

    Parameters
    ----------
    files
        An exposure, a folder of them, ``@list`` (a text file that names them), or several of these.
    device
        ``"auto"``, ``"cpu"``, ``"0"`` or ``"0,1"``.
    output_dir
        Where the products go; beside each input where it is None.
    refs, overrides, offline
        A folder of reference files instead of CRDS; files by type, ``{"gain": "g.fits", "ipc": "N/A"}``; no network.
    config_file
        A TOML file with a table for each step.
    save, skip
        Steps whose result is written too (``"ramp"``: the calibrated ramps); steps to leave out.
    **steps
        Parameters by step: ``jump={"rejection_threshold": 5}``.

    Returns
    -------
    list of Result
        One an exposure, as they were done: products, keywords, times. The first failure is raised, after the others are done.
    """
    layers = [config.from_toml(Path(config_file))] if config_file else []
    layers += [config.Layer("call", {**steps, **{name: {**steps.get(name, {}), "skip": True} for name in skip}})]
    request = batch.Request(
        Chooser(overrides or {}, Path(refs) if refs else None, offline),
        Path(output_dir) if output_dir else None,
        tuple(layers),
        tuple(save),
    )
    results = list(batch.run(exposures(files), request, backend.resolve(device)))
    for result in results:
        if result.error is not None:
            raise result.error
    return results


def exposures(files: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Path]:
    """The exposures that ``files`` name: files, folders (their ``*_uncal.fits``), ``@list`` files."""
    names = [files] if isinstance(files, str) or hasattr(files, "__fspath__") else list(files)
    found: list[Path] = []
    for name in map(str, names):
        if name.startswith("@"):
            found += exposures(_lines(Path(name[1:])))
        elif Path(name).is_dir():
            inside = sorted(Path(name).glob("*_uncal.fits"))
            if not inside:
                raise InputError(f"{name}: no *_uncal.fits in this folder")
            found += inside
        else:
            found.append(Path(name))
    return list(dict.fromkeys(found))


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except OSError as error:
        raise InputError(f"@{path}: the list cannot be read: {error.strerror}") from error
    return [str(path.parent / line) for line in lines if line and not line.startswith("#")]
