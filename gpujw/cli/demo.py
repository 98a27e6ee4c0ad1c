"""Commands that need no data: simulated exposures, and a demonstration on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpujw.errors import UsageError

Mode = Annotated[
    str,
    typer.Option(
        help="Which kind of exposure: nircam, niriss, nirspec-bots, miri, niriss-sub80, nirspec-full, nirspec-irs2, miri-sub, "
        "nircam-sub, fgs."
    ),
]
Out = Annotated[Path, typer.Option(help="The folder to write to.")]
Seed = Annotated[int, typer.Option(help="Another seed, another sky and other noise.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(simulate)
    app.command()(demo)
    app.command()(warm)


def simulate(
    mode: Mode,
    out: Out,
    seed: Seed = 0,
    ngroups: Annotated[
        int | None, typer.Option(help="Groups an integration [default: the mode's].", show_default=False)
    ] = None,
    nints: Annotated[int | None, typer.Option(help="Integrations [default: the mode's].", show_default=False)] = None,
    count: Annotated[int, typer.Option(help="How many exposures.")] = 1,
) -> None:
    """Exposures with known truth, and a small CRDS cache that calibrates them."""
    from gpujw.simulate import MODES
    from gpujw.simulate import simulate as make

    if mode not in MODES:
        raise UsageError(f"--mode {mode!r}: allowed are {', '.join(MODES)}")
    for path in make(mode, out, seed=seed, ngroups=ngroups, nints=nints, count=count):
        typer.echo(path)
    typer.echo(f"references: export CRDS_PATH={out / 'crds'}")


def demo(
    mode: Mode = "nircam",
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("gpujw-demo"),
    device: Annotated[str, typer.Option(help="Where to compute: auto, cpu, 0, or several as 0,1.")] = "auto",
    seed: Seed = 0,
) -> None:
    """Simulate an exposure, calibrate it on whatever device there is, and set the result against the truth."""
    from gpujw.demo import demonstrate

    demonstrate(mode, out, device, seed)


def warm(
    device: Annotated[str, typer.Option(help="Where to compute: auto, cpu, 0, or several as 0,1.")] = "auto",
) -> None:
    """Compile every kernel ahead of the first exposure, on small simulated ones."""
    from gpujw.demo import warm_up

    for line in warm_up(device):
        typer.echo(line)
