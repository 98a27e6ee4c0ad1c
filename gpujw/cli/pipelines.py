"""Commands that calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpujw.errors import UsageError

if TYPE_CHECKING:
    from gpujw.batch import Request, Result

Files = Annotated[
    list[str],
    typer.Argument(
        help="Exposures (_uncal.fits), folders of them, or @LIST, a text file that names them.", show_default=False
    ),
]
Device = Annotated[str, typer.Option(help="Where to compute: auto, cpu, 0, or several as 0,1.")]
OutputDir = Annotated[
    Path | None,
    typer.Option("-o", "--output-dir", help="Where products go [default: beside each input].", show_default=False),
]
Parameter = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--parameter",
        metavar="STEP.NAME=VALUE",
        help="A step's parameter, such as jump.rejection_threshold=5.",
        show_default=False,
    ),
]
Config = Annotated[
    Path | None, typer.Option(help="A TOML file with a table of parameters for each step.", show_default=False)
]
Save = Annotated[
    str, typer.Option(metavar="STEP,...", help="Steps whose result is written too; ramp: the ramps that are fitted.")
]
Skip = Annotated[list[str] | None, typer.Option(metavar="STEP", help="A step to leave out.", show_default=False)]
Refs = Annotated[
    Path | None, typer.Option(help="A folder of reference files to use instead of CRDS.", show_default=False)
]
Override = Annotated[
    list[str] | None,
    typer.Option(metavar="TYPE=FILE", help="A reference file by type; TYPE=N/A does without.", show_default=False),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never ask the network, not even for CRDS.")]
NoPars = Annotated[bool, typer.Option("--no-pars", help="Leave the pars-* parameter references aside.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(detector1)
    app.command()(run)


def detector1(
    files: Files,
    device: Device = "auto",
    output_dir: OutputDir = None,
    parameter: Parameter = None,
    config: Config = None,
    save: Save = "",
    skip: Skip = None,
    refs: Refs = None,
    override: Override = None,
    offline: Offline = False,
    no_pars: NoPars = False,
) -> None:
    """Raw ramps to slopes: _uncal.fits to _rate.fits and _rateints.fits."""
    request = _request(output_dir, parameter, config, skip, refs, override, offline=offline, no_pars=no_pars, save=save)
    _calibrate(files, device, request)


def run(
    step: Annotated[str, typer.Argument(help="The step, such as jump.")],
    files: Files,
    device: Device = "auto",
    output_dir: OutputDir = None,
    parameter: Parameter = None,
    config: Config = None,
    refs: Refs = None,
    override: Override = None,
    offline: Offline = False,
    no_pars: NoPars = False,
) -> None:
    """One step alone, on a raw exposure or on another step's result: FILE to <root>_STEP.fits."""
    from gpujw.pipelines.detector1 import STEP_NAMES

    if step not in STEP_NAMES:
        raise UsageError(f"there is no step {step!r}; there are {', '.join(sorted(STEP_NAMES))}")
    request = _request(output_dir, parameter, config, None, refs, override, offline=offline, no_pars=no_pars, only=step)
    _calibrate(files, device, request)


def _request(
    output_dir: Path | None,
    parameter: list[str] | None,
    config_file: Path | None,
    skip: list[str] | None,
    refs: Path | None,
    override: list[str] | None,
    **rest: Any,
) -> Request:
    from gpujw import batch, config
    from gpujw.choose import Chooser, parse_overrides

    words = [*(parameter or []), *(f"{name}.skip=true" for name in skip or [])]
    layers = [config.from_toml(config_file)] if config_file else []
    layers.append(config.from_words(words))
    chooser = Chooser(parse_overrides(override or []), refs, rest["offline"])
    save = tuple(name for name in rest.get("save", "").split(",") if name)
    return batch.Request(chooser, output_dir, tuple(layers), save, rest.get("only"), not rest["no_pars"])


def _calibrate(files: list[str], device: str, request: Request) -> None:
    from gpujw import backend, batch
    from gpujw.api import exposures
    from gpujw.cli._watch import Watch

    paths = exposures(files)
    homes = backend.resolve(device)
    watch = Watch(len(paths))
    results = []
    for result in watch.follow(batch.run(paths, request, homes, watch.tick)):
        results.append(result)
        if result.error is not None:
            typer.echo(f"gpujw: {result.error}", err=True)
    summary(results, homes)
    failed = [result.error for result in results if result.error is not None]
    if failed:
        raise typer.Exit(failed[0].code)


def summary(results: list[Result], homes: tuple[str, ...]) -> None:
    """A table of what became of each exposure."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"detector1 on {', '.join(homes)}", title_justify="left")
    for column in ("exposure", "products", "seconds", "outcome"):
        table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
    for result in results:
        outcome = "done" if result.error is None else f"failed ({result.error.code})"
        made = "\n".join(path.name for path in result.products)
        table.add_row(result.path.name, made, f"{result.seconds:.2f}" if made else "", outcome)
    Console().print(table)
