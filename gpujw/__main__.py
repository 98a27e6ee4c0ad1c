"""``python -m gpujw``: the command line."""

from gpujw.cli import main

main()
