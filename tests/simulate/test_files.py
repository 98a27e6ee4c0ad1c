"""What simulate writes: valid, complete, the same again, and found by CRDS with no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from gpujw import dq
from gpujw.errors import UsageError
from gpujw.simulate import MODES, cache, optics, pixels, pointing, ramp, references, simulate
from gpujw.simulate.mode import load

REQUIRED = {  # what the steps of stages 1 and 2 read
    0: """TELESCOP INSTRUME DETECTOR EXP_TYPE DATE-OBS TIME-OBS PROGRAM OBSERVTN VISIT VISITGRP SEQ_ID ACT_ID EXPOSURE
       VISIT_ID TSOVISIT EXPSTART EXPMID EXPEND READPATT NINTS NGROUPS NFRAMES FRMDIVSR GROUPGAP NSAMPLES TSAMPLE
       TFRAME TGROUP EFFINTTM EFFEXPTM DURATION DRPFRMS1 INTSTART INTEND EXSEGNUM EXSEGTOT NOUTPUTS ZEROFRAM SUBARRAY
       SUBSTRT1 SUBSTRT2 SUBSIZE1 SUBSIZE2 FASTAXIS SLOWAXIS TARG_RA TARG_DEC APERNAME PPS_APER VA_RA VA_DEC FILENAME
       DATAMODL""",
    1: """RADESYS RA_REF DEC_REF ROLL_REF V2_REF V3_REF VPARITY V3I_YANG RA_V1 DEC_V1 PA_V3 WCSAXES CRPIX1 CRPIX2 CRVAL1
       CRVAL2 CTYPE1 CTYPE2 CUNIT1 CUNIT2 CDELT1 CDELT2 PC1_1 PC1_2 PC2_1 PC2_2 VA_SCALE VELOSYS S_REGION MJD-BEG""",
}

MODELS = {
    "mask": datamodels.MaskModel,
    "saturation": datamodels.SaturationModel,
    "linearity": datamodels.LinearityModel,
    "gain": datamodels.GainModel,
    "readnoise": datamodels.ReadnoiseModel,
    "superbias": datamodels.SuperBiasModel,
    "dark": datamodels.DarkModel,
    "reset": datamodels.ResetModel,
    "rscd": datamodels.RSCDModel,
    "ipc": datamodels.IPCModel,
}

ASK = """
import json, socket, sys
def refuse(*args, **kwargs):
    raise AssertionError("a network call")
socket.socket.connect = socket.getaddrinfo = refuse
import crds
from stdatamodels.jwst import datamodels
types = sys.argv[1].split(",")
answers = {}
for path in sys.argv[2:]:
    with datamodels.open(path) as model:
        answers[path] = crds.getreferences(model.get_crds_parameters(), reftypes=types, observatory="jwst")
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(folder):
    """What CRDS answers, in a process of its own that may not use the network: exposure, type, path."""
    environment = {
        **os.environ,
        "CRDS_PATH": str(folder / "crds"),
        "CRDS_OBSERVATORY": "jwst",
        "CRDS_SERVER_URL": "https://crds-serverless-mode.stsci.edu",
    }
    paths = sorted(map(str, folder.glob("*_00001_*_uncal.fits")))
    command = [sys.executable, "-c", ASK, ",".join(cache._all_types()), *paths]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return {Path(path).name: types for path, types in json.loads(result.stdout.splitlines()[-1]).items()}


def test_uncal_is_valid(uncal, mode_name, tmp_path):
    mode = load(mode_name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a schema violation or a wrong checksum is a warning
        with datamodels.open(uncal, strict_validation=True) as model:
            model.validate()
            assert isinstance(model, datamodels.Level1bModel)
            assert model.data.shape == (mode.nints, mode.ngroups, *mode.shape)
            model.save(tmp_path / uncal.name)
        with fits.open(uncal, checksum=True) as hdus:
            assert all("CHECKSUM" in hdu.header for hdu in hdus)
            assert hdus["SCI"].header["BITPIX"] == 16
            assert hdus["SCI"].header["BZERO"] == 32768
            assert ("ZEROFRAME" in hdus) == mode.zero_frame == hdus[0].header["ZEROFRAM"]
            assert len(hdus["INT_TIMES"].data) == mode.nints
            assert len(hdus["GROUP"].data) == mode.nints * mode.ngroups
            for index, keywords in REQUIRED.items():
                assert not set(keywords.split()) - set(hdus[index].header)
    with datamodels.open(tmp_path / uncal.name) as again:
        np.testing.assert_array_equal(again.data, fits.getdata(uncal, "SCI"))


def test_times_follow_each_other(uncal, mode_name):
    mode = load(mode_name)
    with fits.open(uncal) as hdus:
        times, groups, header = hdus["INT_TIMES"].data, hdus["GROUP"].data, hdus[0].header
    length = mode.frames * mode.tframe / 86400
    lengths = times["int_end_MJD_UTC"] - times["int_start_MJD_UTC"]
    np.testing.assert_allclose(lengths, length, atol=2e-11)  # an MJD in float64 resolves 1e-11 d
    assert header["EXPSTART"] < times["int_start_MJD_UTC"][0]
    assert times["int_end_MJD_UTC"][-1] == pytest.approx(header["EXPEND"], abs=2e-11)
    ends = np.array(list(groups["group_end_time"]), "datetime64[us]").reshape(mode.nints, mode.ngroups)
    steps = np.diff(ends, axis=1) / np.timedelta64(1, "us")
    np.testing.assert_allclose(steps, mode.tgroup * 1e6, atol=1)  # rounded to microseconds


def test_crds_finds_all(answers, folder):
    served = {
        "jw01234008001_02101_00001_nrcb1_uncal.fits": {"superbias", "distortion"},
        "jw01234005001_02101_00001_nis_uncal.fits": {"superbias", "distortion"},
        "jw01234007001_02101_00001_mirimage_uncal.fits": {"reset", "rscd", "ipc", "distortion", "filteroffset"},
    }
    always = {"mask", "saturation", "linearity", "gain", "readnoise", "dark"}
    for exposure, own in served.items():
        found = {reftype for reftype, path in answers[exposure].items() if not path.startswith("NOT FOUND n/a")}
        assert found == always | own
        assert all(Path(answers[exposure][reftype]).is_relative_to(folder / "crds" / "references") for reftype in found)
        assert all(Path(answers[exposure][reftype]).is_file() for reftype in found)


def test_references_are_valid(answers):
    for types in answers.values():
        for reftype in types.keys() & MODELS.keys():
            path = types[reftype]
            if path.startswith("NOT FOUND"):
                continue
            kind = datamodels.DarkMIRIModel if reftype == "dark" and "miri" in path else MODELS[reftype]
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with kind(path, strict_validation=True) as model:
                    model.validate()
                    assert model.meta.reftype.lower() == reftype


def test_references_undo_the_detector(answers):
    """What the files hold, read with their own bit numbers, is what the exposure was made with."""
    mode = load("niriss-sub80")
    full = pixels.build(mode.detector)
    paths = answers["jw01234005001_02101_00001_nis_uncal.fits"]
    with datamodels.MaskModel(paths["mask"]) as mask:
        np.testing.assert_array_equal((mask.dq & dq.REFERENCE_PIXEL) != 0, mode.detector.reference_pixels())
        for bit in ("DEAD", "HOT", "TELEGRAPH", "DO_NOT_USE", "BAD_REF_PIXEL"):
            assert full.has(dq.BITS[bit]).any()
            np.testing.assert_array_equal((mask.dq & dq.BITS[bit]) != 0, full.has(dq.BITS[bit]))
    with datamodels.LinearityModel(paths["linearity"]) as linearity:
        measured = pixels.compress(np.full(full.gain.shape, 40000, np.float32), full.curvature)
        restored = sum(linearity.coeffs[k].astype(float) * measured.astype(float) ** k for k in range(5))
        known = ~full.has(dq.NO_LIN_CORR)
        # The inverse is fitted to 1e-7, and the counts are float32: steps of 4e-3 at 40000.
        np.testing.assert_allclose(restored[known], 40000, atol=0.02)
        assert ((linearity.dq & dq.NO_LIN_CORR) != 0)[~known].all()
    with datamodels.SuperBiasModel(paths["superbias"]) as bias:
        np.testing.assert_array_equal(bias.data, pixels.pedestal(mode))
    with datamodels.ReadnoiseModel(paths["readnoise"]) as noise:
        np.testing.assert_allclose(noise.data, full.readnoise * 2**0.5, rtol=1e-6)
    with datamodels.DarkModel(paths["dark"]) as dark:
        assert dark.data.shape == (mode.frames + mode.dark_margin, *mode.shape)
        for frame in (0, mode.frames):
            settling = ramp.settling(mode, 0, frame) * ramp.settling_pattern(mode)
            expected = full.dark[mode.cut] * (frame + 1) * mode.tframe + settling
            np.testing.assert_allclose(dark.data[frame], expected, rtol=1e-5, atol=1e-6)
    with datamodels.GainModel(paths["gain"]) as gain:
        assert np.isnan(gain.data[full.has(dq.NO_GAIN_VALUE)]).all()


def test_same_arguments_same_files(tmp_path):
    first, again, other = (tmp_path / name for name in "abc")
    for out, seed in ((first, 3), (again, 3), (other, 4)):
        simulate("miri-sub", out, seed=seed, nints=1)
    names = sorted(path.relative_to(first) for path in first.rglob("*.*"))
    assert names == sorted(path.relative_to(other) for path in other.rglob("*.*"))
    for name in names:
        paths = [out / name for out in (first, again, other)]
        if name.suffix == ".fits":  # checksums carry the time in a comment, the exposure in its DATE and metadata
            ignored = {"ignore_comments": ["*"], "ignore_keywords": ["DATE", "CHECKSUM"], "ignore_hdus": ["ASDF"]}
            same = [fits.FITSDiff(paths[0], path, **ignored).identical for path in paths[1:]]
        elif paths[0].is_file():
            same = [paths[0].read_bytes() == path.read_bytes() for path in paths[1:]]
        else:
            continue
        assert same == [True, not name.name.endswith(("_uncal.fits", "_truth.fits"))], name


def test_dark_grows_with_the_exposure(tmp_path):
    def frames():
        return fits.getheader(dark)["NGROUPS"], fits.getdata(dark, "SCI").shape[-3]

    dark = tmp_path / "crds/references/jwst/miri/jwst_miri_dark_miri-sub.fits"
    simulate("miri-sub", tmp_path, ngroups=4, nints=1)
    assert frames() == (8, 8)
    before = dark.with_name("jwst_miri_gain_mirimage.fits").stat().st_mtime_ns
    simulate("miri-sub", tmp_path, ngroups=9, nints=1)
    assert frames() == (13, 13)
    simulate("miri-sub", tmp_path, ngroups=4, nints=1)
    assert frames() == (13, 13)
    assert dark.with_name("jwst_miri_gain_mirimage.fits").stat().st_mtime_ns == before


def test_some_darks_are_too_short():
    assert [name for name in MODES if references.dark_frames(load(name)) < load(name).frames] == [
        "nirspec-full",
        "nirspec-irs2",
    ]


def test_nothing_unfinished_is_left(folder):
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize("mode", [name for name in MODES if load(name).imaging and not load(name).detector.miri])
def test_distortion_is_where_the_stars_are(mode, tmp_path):
    row = load(mode)
    optics.write_distortion(tmp_path / "distortion.asdf", row.detector)
    with datamodels.DistortionModel(tmp_path / "distortion.asdf", strict_validation=True) as reference:
        x, y = np.array([0.0, 1023.5, 2047.0, 17.3]), np.array([0.0, 1023.5, 2047.0, 1800.1])
        v2, v3 = reference.model(x, y)
        expected = pointing.science_to_v2v3(row.detector, x + 1, y + 1)
        np.testing.assert_allclose((v2, v3), expected, atol=1e-9)
        np.testing.assert_allclose(reference.model.inverse(v2, v3), (x, y), atol=2e-3)  # a fitted polynomial


def test_stars_of_miri_fit_the_distortion_of_flight(answers):
    path = answers["jw01234007001_02101_00001_mirimage_uncal.fits"]["distortion"]
    y, x = np.mgrid[0:1024:93, 0:1032:86].astype(float)
    with datamodels.DistortionModel(path) as reference:
        expected = reference.model(x, y)
    found = pointing.science_to_v2v3(load("miri").detector, x + 1, y + 1)
    np.testing.assert_allclose(found, expected, atol=3e-5)  # arcsec: seven digits of the coefficients


def test_dithers_see_the_same_stars(folder):
    mode = load("nircam-sub")
    first, second = (fits.getdata(path, "STARS") for path in sorted(folder.glob("*_nrcb1_truth.fits")))
    np.testing.assert_array_equal(first["ra"], second["ra"])
    np.testing.assert_array_equal(first["dec"], second["dec"])
    dx, dy = pointing.dither(mode, 2)
    np.testing.assert_allclose(second["x"] - first["x"], dx, atol=0.01)  # the distortion over a few pixels
    np.testing.assert_allclose(second["y"] - first["y"], dy, atol=0.01)
    headers = [fits.getheader(path, "SCI") for path in sorted(folder.glob("*_nrcb1_uncal.fits"))]
    shift = (headers[1]["RA_REF"] - headers[0]["RA_REF"]) * np.cos(np.radians(headers[0]["DEC_REF"]))
    shift = np.hypot(shift, headers[1]["DEC_REF"] - headers[0]["DEC_REF"]) * 3600
    assert shift == pytest.approx(np.hypot(dx, dy) * 0.0307, rel=0.02)  # arcsec per pixel


def test_rules_ask_for_the_keywords_of_flight():
    """The parkeys are those of the crds package, but where these name no keyword that exists, or tell too little."""
    import crds

    specs = json.loads((Path(crds.__file__).parent / "jwst/specs/combined_specs.json").read_text())
    differ = set()
    for instrument, types in cache.selections().items():
        for reftype in types:
            names, dated = cache._parkey(instrument, reftype)
            ours = [[f"META.{cache.RULES['keys'][name]}" for name in names]]
            ours += [["META.OBSERVATION.DATE", "META.OBSERVATION.TIME"]] if dated else []
            if ours != specs[instrument][reftype]["parkey"]:
                differ.add(f"{instrument} {reftype}")
    # IRS2 frames, which READPATT tells, need masks and darks of their own shape.
    assert differ == {"nircam dark", "miri filteroffset", "nirspec pars-jumpstep", "nirspec dark", "nirspec mask"}


@pytest.mark.parametrize("arguments", [{"mode": "nircam-tiny"}, {"nints": 0}, {"ngroups": -1}, {"count": 0}])
def test_wrong_requests_are_told(arguments, tmp_path):
    with pytest.raises(UsageError):
        simulate(**{"mode": "miri-sub", "out": tmp_path / "out", **arguments})
    assert not (tmp_path / "out").exists()
