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


#: What typer makes of Ctrl-C.
INTERRUPTED = 130


def main() -> None:
    """Run one command; its exit code says what went wrong (see ``gpujw.errors``)."""
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(code)
    except GpujwError as error:
        typer.echo(f"gpujw: {error}", err=True)
        sys.exit(error.code)
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("gpujw: stopped; what is there is whole, the same command does the rest", err=True)
        sys.exit(70)
    except Exception as error:
        # The command line's own faults (an unknown option) show themselves; anything else is a fault of gpujw.
        if not hasattr(error, "show"):
            raise
        error.show()
        sys.exit(getattr(error, "exit_code", 2))
