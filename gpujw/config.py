"""The value of every parameter, and where it came from: defaults < pars-* references < TOML file < command line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from gpujw.errors import ReferenceError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from gpujw.step import Step

Values = Mapping[str, Mapping[str, Any]]  # step -> parameter -> value
#: Parameters of every step of the peer that say where its files go; here the command line does.
_HOUSEKEEPING = {
    *("pre_hooks", "post_hooks", "output_file", "output_dir", "output_ext", "output_use_model", "output_use_index"),
    *(
        "save_results",
        "suffix",
        "search_output_file",
        "input_dir",
        "name",
        "class",
        "config_file",
        "logcfg",
        "save_calibrated_ramp",
    ),
}


@dataclass(frozen=True)
class Layer:
    """Values from one source."""

    source: str
    values: Values
    strict: bool = True  # a name that no step knows is an error; pars-* files may speak of steps of other versions


@dataclass(frozen=True)
class Configured:
    """Steps with all their values, and each value's source where it is not the default."""

    steps: tuple[Step, ...]
    sources: dict[str, dict[str, str]]


def configure(steps: tuple[Step, ...], layers: list[Layer], elsewhere: frozenset[str] = frozenset()) -> Configured:
    """``steps`` with the values of ``layers``, later ones winning; ``elsewhere``: steps that only other exposures take."""
    sources: dict[str, dict[str, str]] = {}
    by_name = {step.name: step for step in steps}
    for layer in layers:
        for name, values in layer.values.items():
            if name in by_name:
                by_name[name] = _with(by_name[name], values, layer, sources.setdefault(name, {}))
            elif layer.strict and name not in elsewhere:
                raise UsageError(f"{layer.source}: there is no step {name!r}; there are {', '.join(by_name)}")
    return Configured(tuple(by_name[step.name] for step in steps), sources)


def _with(step: Step, values: Mapping[str, Any], layer: Layer, sources: dict[str, str]) -> Step:
    changes = {}
    kinds = _kinds(type(step))
    for parameter, value in values.items():
        if parameter in kinds:
            changes[parameter] = _coerce(value, kinds[parameter], f"{layer.source}: {step.name}.{parameter}")
            sources[parameter] = layer.source
        elif layer.strict and parameter not in _HOUSEKEEPING:
            raise UsageError(
                f"{layer.source}: step {step.name} has no parameter {parameter!r}; it has {', '.join(kinds)}"
            )
    return replace(step, **changes)


def _kinds(kind: type[Step]) -> dict[str, Any]:
    """The type of each parameter of a step."""
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind) if f.name not in ("called", "keyword")}


def _coerce(value: Any, kind: Any, what: str) -> Any:
    """``value``, perhaps a text of the command line, as ``kind``."""
    choices = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if NoneType in choices and (value is None or str(value).lower() in ("none", "")):
        return None
    for choice in choices:
        if choice is not NoneType:
            try:
                return _as(value, choice)
            except (TypeError, ValueError):
                continue
    names = " or ".join("none" if c is NoneType else getattr(c, "__name__", str(c)) for c in choices)
    raise UsageError(f"{what} = {value!r}: {names} is needed")


def _as(value: Any, kind: Any) -> Any:
    if kind is bool:
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if str(value).lower() not in words:
            raise ValueError(value)
        return words[str(value).lower()]
    if get_origin(kind) is tuple:
        items = value.split(",") if isinstance(value, str) else value
        return tuple(_as(item, get_args(kind)[0]) for item in items)
    if kind is int and isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    return kind(value)


def from_toml(path: Path) -> Layer:
    """The layer of a TOML file: a table for each step."""
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"--config {path}: cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"--config {path}: not TOML: {error}") from error
    loose = [key for key, value in values.items() if not isinstance(value, dict)]
    if loose:
        raise UsageError(f"--config {path}: {loose[0]!r} stands outside any step; write it under a [step] heading")
    return Layer(str(path), values)


def from_words(words: list[str], source: str = "command line") -> Layer:
    """The layer of ``step.parameter=value`` texts."""
    values: dict[str, dict[str, Any]] = {}
    for word in words:
        name, separator, value = word.partition("=")
        step, dot, parameter = name.strip().partition(".")
        if not (separator and dot and step and parameter):
            raise UsageError(f"-p {word!r}: STEP.PARAMETER=VALUE is needed, such as jump.rejection_threshold=5")
        values.setdefault(step, {})[parameter] = value.strip()
    return Layer(source, values)


def pars_types(steps: tuple[Step, ...]) -> dict[str, str]:
    """The ``pars-*`` reference type of each step, by type; the pipeline's own comes last and wins."""
    types = {f"pars-{step.name.replace('_', '')}step": step.name for step in steps}
    return {**types, "pars-detector1pipeline": ""}


def from_pars(files: Mapping[str, Path | None], types: Mapping[str, str]) -> list[Layer]:
    """A layer for each ``pars-*`` file, in the order in which they are merged."""
    layers = []
    for reftype, step in types.items():
        path = files.get(reftype)
        if path is not None:
            layers.append(Layer(f"{reftype} {path.name}", _pars_values(path, step), strict=False))
    return layers


@cache
def _pars_values(path: Path, step: str) -> Values:
    import asdf

    try:
        with asdf.open(path, memmap=False, lazy_load=False) as file:
            tree = dict(file.tree)
    except (OSError, ValueError) as error:
        raise ReferenceError(f"{path}: the parameter reference cannot be read: {error}") from error
    parameters = dict(tree.get("parameters", tree))
    nested = parameters.pop("steps", tree.get("steps", []))
    if step:
        return {step: parameters}
    return {str(item["name"]): dict(item.get("parameters", {})) for item in nested}


def parameters(step: Step) -> dict[str, Any]:
    """The values of a step's parameters by name."""
    return {name: getattr(step, name) for name in _kinds(type(step))}
