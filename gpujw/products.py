"""What the products of stage 1 hold: names, extensions, keywords, metadata, manifest."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

import gpujw
from gpujw import tables
from gpujw.writer import Plane, ProductFile, Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from astropy.io.fits import Header

    from gpujw.io import Source

#: What describes an array on disk; a product's arrays are described anew.
_STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|BZERO|BSCALE|EXTNAME|EXTVER|BUNIT|CHECKSUM|DATASUM"
)
#: Beginnings of keywords that the calibration itself writes.
_UNITS = {"SCI": "DN/s", "ERR": "DN/s"}
_SUFFIXES = re.compile(r"_(uncal|ramp|rate|rateints)$")


def product_path(folder: Path, source: Path, suffix: str) -> Path:
    """``<root>_<suffix>.fits`` in ``folder``, a known suffix of the input's name replaced."""
    stem = source.name.removesuffix(".gz").removesuffix(".fits")
    return folder / f"{_SUFFIXES.sub('', stem)}_{suffix}.fits"


def primary_header(source: Source, path: Path, model: str, cards: Mapping[str, Any]) -> Header:
    """The input's primary header with what calibration changes: ``cards``, and what names this product."""
    from astropy.io.fits import Header

    own = {
        "DATE": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3],
        "FILENAME": path.name,
        "DATAMODL": model,
        "CAL_VER": f"gpujw {gpujw.__version__}",
        "CAL_VCS": "RELEASE",
    }
    kept = [card for card in source.hdus[0].header.copy().cards if not _STRUCTURE.fullmatch(card.keyword)]
    header = Header([("SIMPLE", True, "conforms to FITS standard"), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)])
    header.extend(kept, strip=False, end=True)
    for keyword, value in {**own, **cards}.items():
        comment = _comment(keyword) or (header.comments[keyword] if keyword in header else None)
        header.set(keyword, value, _fitting(comment, value))
    return header


def _fitting(comment: str | None, value: Any) -> str | None:
    """The comment as far as the card has room for it; astropy cuts it too, but warns."""
    return comment and comment[: max(80 - len("KEYWORD = '' / ") - max(len(str(value)), 18), 0)]


def _comment(keyword: str) -> str | None:
    if keyword in tables.paths() and keyword.startswith(("S_", "R_")):
        part = tables.paths()[keyword].split(".")[2]
        return part.replace("_", " ") + (" step" if keyword.startswith("S_") else " reference file")
    return None


def slopes_product(
    path: Path, source: Source, shape: tuple[int, ...], model: str, cards: Mapping[str, Any]
) -> ProductFile:
    """A ``_rate`` (``shape[ny, nx]``) or ``_rateints`` (``shape[nint, ny, nx]``) ready to take its planes."""
    types = {"SCI": "float32", "ERR": "float32", "DQ": "uint32", "VAR_POISSON": "float32", "VAR_RNOISE": "float32"}
    planes = [Plane(name, shape, dtype, _plane_cards(source, name)) for name, dtype in types.items()]
    times = _carried(source, ("INT_TIMES",)) if len(shape) == 3 else []
    return _product(path, source, model, [*planes[:3], *times, *planes[3:]], cards)


def ramp_product(path: Path, source: Source, shape: tuple[int, ...], cards: Mapping[str, Any]) -> ProductFile:
    """A ramp (``_ramp`` or the result of one step) ready to take its planes."""
    nint, _, ny, nx = shape
    planes = [
        Plane("SCI", shape, "float32", (*_sci_cards(source), ("BUNIT", "DN", "physical units of the array values"))),
        Plane("PIXELDQ", (ny, nx), "uint32"),
        Plane("GROUPDQ", shape, "uint8"),
    ]
    if source.find("ZEROFRAME") is not None and source.meta.get("ZEROFRAM", False):
        planes.append(Plane("ZEROFRAME", (nint, ny, nx), "float32"))
    return _product(path, source, "RampModel", [*planes, *_carried(source, ("GROUP", "INT_TIMES"))], cards)


def _product(
    path: Path, source: Source, model: str, parts: list[Plane | Table], cards: Mapping[str, Any]
) -> ProductFile:
    header = primary_header(source, path, model, cards)
    return ProductFile(path, header, [*parts, _asdf_table(header, parts)])


def _plane_cards(source: Source, name: str) -> tuple[tuple[str, Any, str], ...]:
    unit = ((("BUNIT", _UNITS[name], "physical units of the array values")),) if name in _UNITS else ()
    return (*_sci_cards(source), *unit) if name == "SCI" else unit


def _sci_cards(source: Source) -> tuple[tuple[str, Any, str], ...]:
    sci = source.find("SCI")
    assert sci is not None  # open_exposure has seen to it
    return tuple(
        (card.keyword, card.value, card.comment)
        for card in sci.header.cards
        if card.keyword and not _STRUCTURE.fullmatch(card.keyword)
    )


def _carried(source: Source, names: tuple[str, ...]) -> list[Plane | Table]:
    """Tables of the input that go into a product byte for byte."""
    found: list[Plane | Table] = []
    for name in names:
        hdu = source.find(name)
        if hdu is not None:
            with source.path.open("rb") as file:
                file.seek(hdu.offset)
                found.append(Table(hdu.header.copy(), file.read(hdu.nbytes)))
    return found


def _asdf_table(primary: Header, parts: list[Plane | Table]) -> Table:
    """The metadata once more as an ASDF tree, in the extension where the field's readers look for it."""
    import yaml
    from astropy.io.fits import Header

    tree: dict[str, Any] = {}
    sci = next(part for part in parts if isinstance(part, Plane) and part.name == "SCI")
    known = tables.paths()
    for keyword, value in [*((c.keyword, c.value) for c in primary.cards), *((k, v) for k, v, _ in sci.cards)]:
        if keyword in known and isinstance(value, str | int | float | bool):
            *branches, leaf = known[keyword].split(".")
            node = tree
            for branch in branches:
                node = node.setdefault(branch, {})
            node[leaf] = value
    arrays = "".join(
        f"{_ATTRIBUTES[p.name]}: !core/ndarray-1.1.0\n  source: fits:{p.name},1\n  datatype: {p.dtype}\n"
        f"  byteorder: big\n  shape: {list(p.shape)}\n"
        for p in parts
        if isinstance(p, Plane)
    )
    head = "#ASDF 1.0.0\n#ASDF_STANDARD 1.6.0\n%YAML 1.1\n%TAG ! tag:stsci.edu:asdf/\n--- !core/asdf-1.1.0\n"
    text = f"{head}{yaml.dump(tree, Dumper=yaml.CSafeDumper)}{arrays}...\n"
    data = text.encode()
    cards = [
        *(
            ("XTENSION", "BINTABLE"),
            ("BITPIX", 8),
            ("NAXIS", 2),
            ("NAXIS1", len(data)),
            ("NAXIS2", 1),
            ("PCOUNT", 0),
            ("GCOUNT", 1),
        ),
        *(("TFIELDS", 1), ("TTYPE1", "ASDF_METADATA"), ("TFORM1", f"{len(data)}B"), ("EXTNAME", "ASDF")),
    ]
    return Table(Header(cards), data)


_ATTRIBUTES = {
    "SCI": "data",
    "ERR": "err",
    "DQ": "dq",
    "VAR_POISSON": "var_poisson",
    "VAR_RNOISE": "var_rnoise",
    "PIXELDQ": "pixeldq",
    "GROUPDQ": "groupdq",
    "ZEROFRAME": "zeroframe",
}


def manifest(content: Mapping[str, Any]) -> bytes:
    """The manifest's text: what went in, with which parameters and references, and what came out."""

    def plain(value: Any) -> Any:
        return value.item() if isinstance(value, np.generic) else str(value)

    return (json.dumps(content, indent=1, default=plain) + "\n").encode()
