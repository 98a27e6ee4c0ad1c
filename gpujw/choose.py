"""Which reference files an exposure needs: asked of CRDS, found in a folder, or given by the user."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpujw import tables
from gpujw.errors import ReferenceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpujw.exposure import Meta

#: The name by which the crds package knows that there is no server to ask.
SERVERLESS = "https://crds-serverless-mode.stsci.edu"
NOT_APPLICABLE = None
#: Keywords by which a folder's files are matched, and the words that match everything.
SELECTORS = (
    "INSTRUME",
    "DETECTOR",
    "SUBARRAY",
    "READPATT",
    "EXP_TYPE",
    "FILTER",
    "PUPIL",
    "GRATING",
    "CHANNEL",
    "BAND",
    "MODULE",
    "CORONMSK",
)
WILDCARDS = {"", "ANY", "N/A", "GENERIC", "ALL", "FULL"}


@dataclass
class Chooser:
    """Reference files by type: those the user names first, then those of ``folder``, or else of CRDS."""

    overrides: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    offline: bool = False
    _answers: dict[Any, dict[str, Path | None]] = field(default_factory=dict, repr=False)
    _asked: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for reftype, name in self.overrides.items():
            if name.upper() != "N/A" and not Path(name).is_file():
                raise ReferenceError(
                    f"--override {reftype}={name}: no such file; give a file, or N/A to skip what needs it"
                )
        if self.folder is not None and not self.folder.is_dir():
            raise ReferenceError(f"--refs {self.folder}: no such folder")

    @property
    def cards(self) -> dict[str, str]:
        """The keywords that name CRDS's version and context; none where it was not asked."""
        return dict(self._asked)

    def choose(self, meta: Meta, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Path | None]:
        """A file for each type, None where it is N/A; one that is required and not found is an error."""
        chosen: dict[str, Path | None] = {}
        for reftype, name in self.overrides.items():
            chosen[reftype] = NOT_APPLICABLE if name.upper() == "N/A" else Path(name)
        wanted = [t for t in dict.fromkeys((*required, *optional)) if t not in chosen]
        if wanted:
            needed = set(required)
            find = self._from_crds if self.folder is None else self._from_folder
            chosen.update(find(meta, wanted, needed))
        return chosen

    def _from_crds(self, meta: Meta, wanted: list[str], needed: set[str]) -> dict[str, Path | None]:
        parameters = {
            path.upper(): str(value)
            for keyword, path in tables.paths().items()
            if (value := meta.get(keyword)) is not None
        }
        identity = {"META.OBSERVATION.DATE", "META.OBSERVATION.TIME"}
        key = (tuple(wanted), tuple(v for k, v in sorted(parameters.items()) if k.startswith(MATCHED) or k in identity))
        if key not in self._answers:
            self._answers[key] = self._ask_crds(meta, parameters, wanted)
        return self._answers[key]

    def _ask_crds(self, meta: Meta, parameters: dict[str, str], wanted: list[str]) -> dict[str, Path | None]:
        if self.offline or not os.environ.get("CRDS_SERVER_URL"):
            os.environ["CRDS_SERVER_URL"] = SERVERLESS
        os.environ.setdefault("CRDS_OBSERVATORY", "jwst")
        import crds
        from crds.core import config, heavy_client, log

        log.set_verbose(-3)  # its own messages come back as exceptions, told once
        try:
            names = heavy_client.getrecommendations(parameters, reftypes=wanted, observatory="jwst")
            paths = {
                t: config.locate_file(n, "jwst")
                for t, n in names.items()
                if "NOT FOUND" not in n and "N/A" not in n.upper()
            }
            absent = [t for t, path in paths.items() if not Path(path).is_file()]
            self._asked.update(CRDS_VER=crds.__version__, CRDS_CTX=heavy_client.get_processing_mode("jwst")[1])
            if absent and os.environ["CRDS_SERVER_URL"] != SERVERLESS:
                heavy_client.getreferences(parameters, reftypes=absent, observatory="jwst")
        except (Exception, SystemExit) as error:  # crds raises many kinds, and exits where there is no context
            cache = os.environ.get("CRDS_PATH") or str(Path.home() / "crds_cache")
            raise ReferenceError(
                f"{meta.path}: CRDS cannot name the reference files ({', '.join(wanted)}): {_first_line(error)}; "
                f"its cache is {cache} "
                "(CRDS_PATH): fill it, or give --refs DIR or --override TYPE=FILE"
            ) from error
        return {reftype: _crds_path(meta, reftype, paths.get(reftype, names[reftype])) for reftype in wanted}

    def _from_folder(self, meta: Meta, wanted: list[str], needed: set[str]) -> dict[str, Path | None]:
        chosen = {}
        for reftype in wanted:
            fitting = [
                (score, path)
                for path, cards in self._index().get(reftype, [])
                if (score := _fit(meta, cards)) is not None
            ]
            if not fitting and reftype in needed:
                raise ReferenceError(
                    f"{meta.path}: no {reftype} reference for it in {self.folder} (REFTYPE {reftype.upper()!r}, "
                    f"{meta['INSTRUME']}/{meta['DETECTOR']}); add one, give --override {reftype}=FILE, "
                    f"or --override {reftype}=N/A to do without"
                )
            chosen[reftype] = max(fitting)[1] if fitting else NOT_APPLICABLE
        return chosen

    def _index(self) -> dict[str, list[tuple[Path, dict[str, Any]]]]:
        if "index" not in self._answers:
            index: dict[str, Any] = {}
            for path in sorted(p for p in self.folder.rglob("*") if p.suffix in (".fits", ".asdf")):  # type: ignore[union-attr]
                cards = _reference_cards(path)
                index.setdefault(str(cards.get("REFTYPE", "")).lower(), []).append((path, cards))
            self._answers["index"] = index
        return self._answers["index"]  # type: ignore[return-value]


#: What CRDS may match on, as beginnings of metadata paths; the rest of a header differs from file to file.
MATCHED = (
    "META.INSTRUMENT.",
    "META.SUBARRAY.NAME",
    "META.EXPOSURE.TYPE",
    "META.EXPOSURE.READPATT",
    "META.EXPOSURE.N",
    "META.EXPOSURE.GROUPGAP",
    "META.VISIT.T",
    "META.VISIT.CROWDED",
)


def _crds_path(meta: Meta, reftype: str, answer: str) -> Path | None:
    # crds says "NOT FOUND n/a" where a rule says so, and plain "NOT FOUND" of a type that no rule names.
    if "N/A" in answer.upper() or (answer.startswith("NOT FOUND") and reftype.startswith("pars-")):
        return NOT_APPLICABLE
    if answer.startswith("NOT FOUND"):
        raise ReferenceError(
            f"{meta.path}: CRDS has no {reftype} reference for it ({answer}); give --override {reftype}=FILE or N/A"
        )
    path = Path(answer)
    if not path.is_file():
        raise ReferenceError(
            f"{meta.path}: its {reftype} reference {path.name} is not in the CRDS cache: {path} is missing; "
            f"fetch it, or give --override {reftype}=FILE"
        )
    return path


def _first_line(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "it finds no context (no mappings)"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _reference_cards(path: Path) -> dict[str, Any]:
    """Keywords of a reference file, ASDF metadata among them under their keyword's name."""
    if path.suffix == ".fits":
        from astropy.io import fits

        try:
            return dict(fits.getheader(path, 0))
        except (OSError, ValueError) as error:
            raise ReferenceError(f"{path}: not a readable FITS file: {error}") from error
    import asdf

    with asdf.open(path, lazy_load=True) as file:
        meta = file.tree.get("meta", {})
        return {
            "REFTYPE": meta.get("reftype", ""),
            "INSTRUME": (meta.get("instrument") or {}).get("name", ""),
            "USEAFTER": str(meta.get("useafter", "")),
        }


def _fit(meta: Meta, cards: dict[str, Any]) -> tuple[int, str] | None:
    """How well a reference suits an exposure: keywords that agree, then how new it is; None where it does not."""
    agree = 0
    for keyword in SELECTORS:
        allowed = str(cards.get(f"P_{keyword[:6]}") or cards.get(keyword) or "").upper()
        choices = {choice.strip() for choice in allowed.split("|")} - {""}
        if str(meta.get(keyword, "")).upper() in choices:
            agree += 1
        elif choices and not choices & WILDCARDS:
            return None
    useafter = str(cards.get("USEAFTER", ""))
    return None if useafter[:10] > str(meta.get("DATE-OBS", "9999")) else (agree, useafter)


def parse_overrides(items: Iterable[str]) -> dict[str, str]:
    """``TYPE=FILE`` texts as a mapping."""
    overrides = {}
    for item in items:
        reftype, separator, name = item.partition("=")
        if not (separator and reftype and name):
            raise UsageError(f"--override {item!r}: TYPE=FILE is needed, such as gain=my_gain.fits or ipc=N/A")
        overrides[reftype.strip().lower()] = name.strip()
    return overrides
