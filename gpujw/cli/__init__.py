"""The command line. It imports what a command needs when that command runs."""

from __future__ import annotations

import sys

import typer

from gpujw.cli import demo, look, pipelines
from gpujw.errors import GpujwError

app = typer.Typer(
    name="gpujw",
    help="Raw JWST exposures to science products, on a GPU or without one.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (pipelines, demo, look):
    module.register(app)


def main() -> None:
    """Run one command; its exit code says what went wrong (see ``gpujw.errors``)."""
    try:
        app()
    except GpujwError as error:
        typer.echo(f"gpujw: {error}", err=True)
        sys.exit(error.code)
    except KeyboardInterrupt:
        typer.echo("gpujw: stopped", err=True)
        sys.exit(70)
