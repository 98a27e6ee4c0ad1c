"""Parameters: layers, types, sources and what is refused."""

from __future__ import annotations

from dataclasses import dataclass

import asdf
import pytest

from gpujw import config
from gpujw.errors import UsageError
from gpujw.step import Step


@dataclass(frozen=True, kw_only=True)
class Jump(Step):
    rejection_threshold: float = 4.0
    flag_4_neighbors: bool = True
    maximum_cores: str = "1"
    firstgroup: int | None = None


STEPS = (Jump(),)


def test_later_layers_win_and_are_named():
    layers = [
        config.Layer("pars", {"jump": {"rejection_threshold": 5, "flag_4_neighbors": False}}, strict=False),
        config.Layer("file.toml", {"jump": {"rejection_threshold": 6}}),
        config.from_words(["jump.firstgroup=2"]),
    ]
    found = config.configure(STEPS, layers)
    assert found.steps == (Jump(rejection_threshold=6.0, flag_4_neighbors=False, firstgroup=2),)
    assert found.sources == {
        "jump": {"rejection_threshold": "file.toml", "flag_4_neighbors": "pars", "firstgroup": "command line"}
    }


@pytest.mark.parametrize(
    ("word", "parameter", "value"),
    [
        ("jump.rejection_threshold=5", "rejection_threshold", 5.0),
        ("jump.flag_4_neighbors=False", "flag_4_neighbors", False),
        ("jump.maximum_cores=half", "maximum_cores", "half"),
        ("jump.firstgroup=none", "firstgroup", None),
        ("jump.firstgroup=3", "firstgroup", 3),
        ("jump.skip=true", "skip", True),
    ],
)
def test_words_take_the_parameters_type(word, parameter, value):
    (step,) = config.configure(STEPS, [config.from_words([word])]).steps
    assert getattr(step, parameter) == value
    assert type(getattr(step, parameter)) is type(value)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("jump.rejection=5", "no parameter 'rejection'; it has skip, rejection_threshold"),
        ("jumps.skip=true", "no step 'jumps'; there are jump"),
        ("jump.rejection_threshold=high", "float is needed"),
        ("jump.firstgroup=1.5", "int or none is needed"),
        ("jump.skip=perhaps", "bool is needed"),
        ("rejection_threshold=5", "STEP.PARAMETER=VALUE"),
    ],
)
def test_what_cannot_be_is_refused(word, told):
    with pytest.raises(UsageError, match=told):
        config.configure(STEPS, [config.from_words([word])])


def test_pars_of_a_pipeline_win_over_those_of_a_step(tmp_path):
    step, pipeline = tmp_path / "step.asdf", tmp_path / "pipeline.asdf"
    asdf.AsdfFile(
        {
            "class": "jwst.jump.jump_step.JumpStep",
            "name": "jump",
            "parameters": {"rejection_threshold": 5.0, "unheard_of": 1, "flag_4_neighbors": False},
        }
    ).write_to(step)
    asdf.AsdfFile(
        {
            "class": "P",
            "name": "P",
            "parameters": {"save_calibrated_ramp": False},
            "steps": [
                {"class": "J", "name": "jump", "parameters": {"rejection_threshold": 6.0}},
                {"class": "X", "name": "unheard_of", "parameters": {"a": 1}},
            ],
        }
    ).write_to(pipeline)
    types = config.pars_types(STEPS)
    layers = config.from_pars({"pars-jumpstep": step, "pars-detector1pipeline": pipeline}, types)
    found = config.configure(STEPS, layers)
    assert found.steps == (Jump(rejection_threshold=6.0, flag_4_neighbors=False),)
    assert found.sources["jump"] == {
        "rejection_threshold": "pars-detector1pipeline pipeline.asdf",
        "flag_4_neighbors": "pars-jumpstep step.asdf",
    }


@pytest.mark.parametrize(("text", "told"), [("[jump\n", "not TOML"), ("skip = true\n", "outside any step")])
def test_toml_faults_are_told(tmp_path, text, told):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        config.from_toml(path)


def test_toml_is_a_layer(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("[jump]\nrejection_threshold = 7\n")
    assert config.configure(STEPS, [config.from_toml(path)]).steps[0].rejection_threshold == 7.0
