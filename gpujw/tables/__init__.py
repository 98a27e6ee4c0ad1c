"""Numbers and names that are data."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any


@cache
def load(name: str) -> dict[str, Any]:
    """The table ``name``.toml of this folder."""
    with Path(__file__).with_name(f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


@cache
def paths() -> dict[str, str]:
    """The metadata path of each FITS keyword of JWST's data models, ``meta.exposure.nframes`` for ``NFRAMES``."""
    return {keyword: path for keyword, (path, _) in load("keywords").items()}
