"""Every kind of exposure has its row."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpujw import modes
from gpujw.errors import InputError, StepError
from gpujw.exposure import Meta


def exposure_types(schema):
    """All values that the data models allow for EXP_TYPE."""
    if isinstance(schema, dict):
        if schema.get("fits_keyword") == "EXP_TYPE":
            return set(schema.get("enum", [])) | {v for part in schema.get("anyOf", []) for v in part.get("enum", [])}
        return set().union(*(exposure_types(part) for part in schema.values()))
    if isinstance(schema, list):
        return set().union(*(exposure_types(part) for part in schema))
    return set()


def test_every_exposure_type_of_the_data_models_has_a_row():
    from stdatamodels.jwst.datamodels import JwstDataModel

    known = exposure_types(JwstDataModel().schema) - {"N/A", "ANY"}
    assert len(known) > 50
    assert known == set(modes.MODES)


@pytest.mark.parametrize(
    ("cards", "error", "told"),
    [
        ({"EXP_TYPE": "NRC_DARK"}, StepError, "calwebb_dark"),
        ({"EXP_TYPE": "NRC_IMAGE", "MSTR_RD1": 1, "SUBARRAY": "SUB40STRIPE1_DHS"}, StepError, "SUB40STRIPE1_DHS"),
        ({"EXP_TYPE": "XXX"}, InputError, "XXX"),
        ({}, InputError, "EXP_TYPE"),
    ],
)
def test_what_has_no_road_is_told(cards, error, told):
    with pytest.raises(error, match=told):
        modes.stage1(Meta(Path("x_uncal.fits"), cards))


def test_ifu():
    assert modes.is_ifu(Meta(Path("x"), {"EXP_TYPE": "MIR_MRS"}))
    assert modes.is_ifu(Meta(Path("x"), {"EXP_TYPE": "NRS_LAMP", "OPMODE": "IFU"}))
    assert not modes.is_ifu(Meta(Path("x"), {"EXP_TYPE": "NRS_LAMP", "OPMODE": "MSASPEC"}))
