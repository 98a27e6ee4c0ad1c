"""A CRDS cache that serves every mode: rules for all of them, reference files for those that were simulated."""

from __future__ import annotations

import hashlib
import tomllib
from importlib.resources import files
from pprint import pformat
from typing import TYPE_CHECKING, Any

from astropy.io import fits

from gpujw.simulate import optics, references
from gpujw.simulate.mode import MODES, load
from gpujw.simulate.whole import whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpujw.simulate.mode import Mode

RULES: dict[str, Any] = tomllib.loads(files("gpujw.tables").joinpath("crds.toml").read_text("utf-8"))
PACKAGED = {  # of MIRI
    "distortion": "jwst_miri_imager_distortion_flt9.asdf",
    "filteroffset": "jwst_miri_filteroffset_full_flt9.asdf",
}
CONTEXT = "jwst_0001.pmap"
USEAFTER = references.USEAFTER.replace("T", " ")

# A row of a rule: the values of its keys ("N/A" matches all) and a file name, or "N/A".
Row = tuple[tuple[str, ...], str]


def write(folder: Path, mode: Mode) -> None:
    """Makes ``folder`` a CRDS_PATH with all that ``mode`` needs; what other modes left there stays."""
    _write_rules(folder)
    target = folder / "references" / "jwst" / mode.detector.instrument.lower()
    references.write_all(target, mode)
    for reftype, (name, _) in _extras(mode).items():
        if not (target / name).exists():
            with whole(target / name) as path:
                _MAKERS[reftype](path, mode)


def selections() -> dict[str, dict[str, list[Row]]]:
    """Instrument, reference type, rows: what CRDS is told about all modes."""
    table: dict[str, dict[str, list[Row]]] = {}
    for mode in (load(name) for name in MODES):
        rows = table.setdefault(mode.detector.instrument.lower(), {})
        kinds = references.kinds(mode)
        made = {kind.reftype: (references.filename(mode, kind), _KEYS[kind.full_frame]) for kind in kinds}
        for reftype, (name, known) in {**made, **_extras(mode)}.items():
            row = _key(mode, reftype, known), name
            if row not in rows.setdefault(reftype, []):
                rows[reftype].append(row)
    for instrument, types in table.items():
        for reftype in types.keys() & _PARTIAL:
            types[reftype].append((("N/A",) * len(_parkey(instrument, reftype)[0]), "N/A"))
    return table


# Keywords that choose among the detector's own files and among those of a mode; the others match anything.
_KEYS = {True: ("detector",), False: ("detector", "subarray", "readpatt")}
# Types that some exposures of the instrument do without.
_PARTIAL = {"ipc", "pars-jumpstep", "refpix"}


def _extras(mode: Mode) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Files that are not made plane by plane from the pixels: type, name and the keywords that choose it."""
    instrument, detector = mode.detector.instrument.lower(), mode.detector.name.lower()
    extras: dict[str, tuple[str, tuple[str, ...]]] = {}
    if mode.detector.miri:
        extras |= {reftype: (name, ("detector",)) for reftype, name in PACKAGED.items()}
    elif mode.imaging:
        extras["distortion"] = f"jwst_{instrument}_distortion_{detector}.asdf", ("detector",)
    if mode.ipc:
        extras["ipc"] = f"jwst_{instrument}_ipc_{mode.name}.fits", ("detector", "subarray")
    if mode.exp_type == "NRS_IFU":
        extras["pars-jumpstep"] = f"jwst_{instrument}_pars-jumpstep_{mode.name}.asdf", ("exp_type",)
    return extras


def _packaged(path: Path, mode: Mode) -> None:
    path.write_bytes((files("gpujw.simulate") / "references" / path.name).read_bytes())


def _distortion(path: Path, mode: Mode) -> None:
    if mode.detector.miri:
        _packaged(path, mode)
    else:
        optics.write_distortion(path, mode.detector)


def _jump_parameters(path: Path, mode: Mode) -> None:
    optics.write_jump_parameters(path, mode.detector)


def _ipc(path: Path, mode: Mode) -> None:
    header = references.header(path.name, mode, references.Kind("ipc", "IPCModel"))
    fits.HDUList([fits.PrimaryHDU(header=header), fits.ImageHDU(optics.decoupling_kernel(), name="SCI")]).writeto(path)


_MAKERS: dict[str, Callable[[Path, Mode], None]] = {
    "distortion": _distortion,
    "filteroffset": _packaged,
    "ipc": _ipc,
    "pars-jumpstep": _jump_parameters,
}


def _parkey(instrument: str, reftype: str) -> tuple[tuple[str, ...], bool]:
    """Names of the keys of a rule, and whether it also asks for the date."""
    own = RULES["parkeys"].get(instrument, {})
    names = own.get(reftype) or RULES["parkeys"][reftype]
    return tuple(name for name in names if name != "date"), "date" in names


def _key(mode: Mode, reftype: str, known: tuple[str, ...]) -> tuple[str, ...]:
    values = {"subarray": mode.subarray, "readpatt": mode.readpatt, "exp_type": mode.exp_type}
    values["detector"] = mode.detector.name
    names, _ = _parkey(mode.detector.instrument.lower(), reftype)
    return tuple(values[name] if name in known else "N/A" for name in names)


def _write_rules(folder: Path) -> None:
    rules = folder / "mappings" / "jwst"
    table = selections()
    contexts = {name.upper(): f"jwst_{name}_0001.imap" for name in table}
    header: dict[str, Any] = {"mapping": "PIPELINE", "parkey": ("META.INSTRUMENT.NAME",)}
    _put(rules / CONTEXT, _mapping(header, CONTEXT, pformat(contexts)))
    for instrument, types in table.items():
        served = {reftype: f"jwst_{instrument}_{reftype}_0001.rmap" for reftype in types}
        named = {**dict.fromkeys(_all_types(), "N/A"), **served}
        header = {"mapping": "INSTRUMENT", "parkey": ("REFTYPE",), "instrument": instrument.upper()}
        name = contexts[instrument.upper()]
        _put(rules / name, _mapping(header, name, pformat(named)))
        for reftype, rows in types.items():
            _put(rules / served[reftype], _rmap(instrument, reftype, served[reftype], rows))
    _put(folder / "config" / "jwst" / "server_config", pformat(_server()))


def _all_types() -> list[str]:
    types = RULES["types"]
    return [*types["references"].split(), *(f"pars-{step}" for step in types["pars"].split())]


def _rmap(instrument: str, reftype: str, name: str, rows: list[Row]) -> str:
    names, dated = _parkey(instrument, reftype)
    parkey: tuple[tuple[str, ...], ...] = (tuple(f"META.{RULES['keys'][key]}" for key in names),)
    lines = []
    for key, file in rows:
        choice = f"UseAfter({{{USEAFTER!r}: {file!r}}})" if dated else repr(file)
        lines.append(f"    {(key[0] if len(key) == 1 else key)!r}: {choice},")
    if dated:
        parkey += (("META.OBSERVATION.DATE", "META.OBSERVATION.TIME"),)
    header = {
        "mapping": "REFERENCE",
        "instrument": instrument.upper(),
        "filekind": reftype.upper(),
        "filetype": reftype.upper(),
        "file_ext": ".asdf" if rows[0][1].endswith("asdf") else ".fits",
        "classes": ("Match", "UseAfter") if dated else ("Match",),
        "parkey": parkey,
        "suffix": reftype,
        "text_descr": reftype,
    }
    return _mapping(header, name, "Match({\n" + "\n".join(lines) + "\n})")


def _mapping(header: dict[str, Any], name: str, selector: str) -> str:
    """Text of a rule; its SHA-1 is that of the text without the line that holds it."""
    header = {**header, "name": name, "observatory": "JWST", "derived_from": "generated by gpujw.simulate"}
    lines = [f"    {key!r} : {value!r},\n" for key, value in sorted(header.items())]
    start, end = "header = {\n", "}\n\nselector = " + selector + "\n"
    digest = hashlib.sha1((start + "".join(lines) + end).encode()).hexdigest()
    return start + "".join(lines) + f"    'sha1sum' : {digest!r},\n" + end


def _server() -> dict[str, Any]:
    """What CRDS would have been told by its server when it last spoke to it."""
    nowhere = {"checked": "", "unchecked": ""}
    return {
        "edit_context": CONTEXT,
        "operational_context": CONTEXT,
        "observatory": "jwst",
        "bad_files": "",
        "bad_files_set": set(),
        "mappings": [],
        "crds_version": {"str": "14.0.3", "status": 0},
        "reference_url": nowhere,
        "mapping_url": nowhere,
        "effective_mode": "auto",
        "last_synced": "",
        "force_remote_mode": False,
        "status": "cache",
        "connected": False,
    }


def _put(path: Path, text: str) -> None:
    with whole(path) as part:
        part.write_text(text, "utf-8")
