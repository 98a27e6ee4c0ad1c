"""IRS2 frames: the Fourier transforms in two stages, the search for bad samples, what stands for them, and the truth."""

import numpy as np
import pytest
from scipy import fft

from gpujw import irs2
from gpujw.dq import BAD_REF_PIXEL, DO_NOT_USE
from gpujw.errors import ReferenceError, StepError
from gpujw.simulate import electronics
from gpujw.simulate.mode import load
from gpujw.step import Tables
from gpujw.steps import refpix_fourier as fourier
from gpujw.steps import refpix_irs2
from gpujw.steps.refpix import RefPix

from .fakes import FakeReference, meta_of, on_device, ramp_of

CARDS = {"INSTRUME": "NIRSPEC", "NAXIS2": 3200, "SUBSIZE1": 2048, "SUBSIZE2": 2048, "NRS_NORM": 16, "NRS_REF": 4}
META = meta_of(DETECTOR="NRS1", READPATT="NRSIRS2", FASTAXIS=2, SLOWAXIS=1, **CARDS)


def reference(rows=(), size=2 * fourier.SAMPLES):
    weights = np.zeros(size, [(f"{name}_{k}", "f4") for name in ("alpha", "beta") for k in range(4)])
    listed = np.array(list(rows), [("OUTPUT", "u2"), ("ODD_EVEN", "u2"), ("MASK", "u4")])
    return FakeReference({}, {}, tables={"IRS2": weights, "DQ": listed}, path="jwst_nirspec_refpix_0001.fits")


@pytest.fixture(scope="module")
def transforms(put):
    return on_device(Tables(fixed=fourier.plan()), put)


@pytest.fixture(scope="module")
def series():
    return np.random.default_rng(0).normal(0, 9, fourier.SAMPLES).astype(np.float32)


def held(series):
    """As the transforms want it: sample i at [i % 89, i // 89]."""
    return np.ascontiguousarray(series.reshape(fourier.ROW, fourier.RADIX).T)


def test_spectrum(transforms, series, put, get):
    """Every bin that is held is that of one long transform; the inverse gives the series back."""
    found, bins = get(fourier.spectrum(put(held(series)[None]), transforms))[0], fourier.bins()
    expected = fft.fft(series.astype(float))
    # float32: some 1e-7 a stage
    assert np.abs(found - expected[bins]).max() < 1e-5 * np.abs(expected).std()
    back = get(fourier.real_series(put(found[None]), transforms))[0]
    np.testing.assert_allclose(back, held(series), atol=1e-4)


def test_the_filter(transforms, series, put, get):
    passed = fourier.passband()
    assert passed.size == fourier.SAMPLES // 2 + 1 and passed[0] == passed[-1] == 1 and passed[400000] == 0
    assert (passed == 1).sum() == 2 * (30268 + 1) + 1 and passed[30268 + 2500] == pytest.approx(0.5)
    expected = fft.irfft(fft.rfft(series.astype(float)) * passed, series.size)
    found = get(fourier.smooth(put(held(series)[None]), transforms))[0]
    np.testing.assert_allclose(found, held(expected), atol=1e-4)
    assert 0.25 < found.std() / series.std() < 0.35  # a tenth of the noise's power


def test_weights_act_on_real_series(transforms, series, put, get):
    rng = np.random.default_rng(1)
    weights = (rng.normal(size=fourier.SAMPLES) + 1j * rng.normal(size=fourier.SAMPLES)).astype(np.complex64)
    expected = fft.ifft(fft.fft(series.astype(float)) * weights).real
    product = fourier.spectrum(put(held(series)[None]), transforms) * put(fourier.mirrored(weights))
    np.testing.assert_allclose(get(fourier.real_series(product, transforms))[0], held(expected), atol=1e-4)


def noise(seed, ngroup=3):
    rng = np.random.default_rng(seed)
    return rng.normal(1000, 8, (1, ngroup, 3200, 2048)).astype(np.float32)


def test_bad_samples_are_found(put, get):
    data, (fickle, high, known) = noise(2, 2), (640 + 8, 1280 + 28, 3200 - 12)
    data[:, :, fickle] += np.random.default_rng(3).normal(0, 20, (2, 2048))
    data[:, :, high : high + 2] += 30
    pixeldq = np.zeros((3200, 2048), np.uint32)
    pixeldq[known, 77], pixeldq[700, 3] = BAD_REF_PIXEL, BAD_REF_PIXEL  # a sample; a pixel, which is none
    ramp = ramp_of(data, META, put, pixeldq=pixeldq).replace(meta=META)
    tables = Tables(fixed={"samples": put(np.flatnonzero(irs2.is_reference(3200)))})
    refpix_irs2.found_bad(ramp, tables, 6.0)
    flagged = get(ramp.pixeldq) & (BAD_REF_PIXEL | DO_NOT_USE) == BAD_REF_PIXEL | DO_NOT_USE
    assert np.flatnonzero(flagged.all(axis=1)).tolist() == [fickle, fickle + 1, high, high + 1, known]
    assert flagged.sum() == 5 * 2048


@pytest.mark.parametrize("turned", [False, True])
def test_what_stands_for_bad_samples(put, get, turned):
    """Good samples of the same parity a turn away, else of the other, else nothing; those found bad later still serve."""
    flagged = np.zeros(3200, bool)
    flagged[[640 + 28, 1280 + 8, 1280 + 28]] = True
    flagged[2560:] = irs2.is_reference(3200)[2560:]
    rows = [(2, 1, 0b1000), (2, 2, 0b1000)]
    stage = refpix_irs2.stages(reference(rows), turned=turned)
    listed = np.flatnonzero(stage < refpix_irs2.NEVER)
    tables = Tables(fixed={"stage": put(stage)})
    sources = get(refpix_irs2.sources_of(put(flagged), tables, turned=turned))
    assert sources[640 + 28].tolist() == [640 + 8, 640 + 48]
    assert sources[1280 + 8].tolist() == [1280 + 10] * 2 and sources[1280 + 28].tolist() == [1280 + 48] * 2
    assert (sources[2560:][flagged[2560:]] == -1).all()
    # Output 2 is read backwards: the first parity has the second pair of the four samples; step 3 from the output's start.
    first = 3200 - 1280 - 72 if turned else 1280 + 8 + 60
    assert listed.tolist() == list(range(first, first + 4))
    assert sources[listed].tolist() == [[row - 20, row + 20] for row in listed]
    others = np.setdiff1d(np.arange(3200), [*np.flatnonzero(flagged), *listed])
    np.testing.assert_array_equal(sources[others], np.stack([others, others], axis=1))


def test_the_order_of_the_table(put, get):
    """Between bad neighbours, the other parity serves the pair that is found bad first, and then no more."""
    flagged = np.zeros(3200, bool)
    flagged[[1280 - 640 + 28, 640 + 29, 640 + 68, 640 + 69]] = True
    stage = refpix_irs2.stages(reference([(1, 1, 0b100), (1, 2, 0b100)]), turned=False)
    sources = get(refpix_irs2.sources_of(put(flagged), Tables(fixed={"stage": put(stage)}), turned=False))
    assert sources[640 + 48].tolist() == [640 + 50] * 2
    assert sources[640 + 50].tolist() == [640 + 30, 640 + 70]


def shared_noise(ngroup):
    """Frames of noise that amplifiers, their references and the reference output share, without any other."""
    mode = load("nirspec-irs2", ngroups=ngroup)
    readout = electronics.IRS2Readout(mode, np.random.default_rng(5))
    return mode, np.stack([readout._noise(0, group) for group in range(ngroup)])[None]


@pytest.fixture(scope="module")
def corrected(put, get, stays_on_device):
    mode, data = shared_noise(2)
    filled = reference()
    columns = electronics.irs2_weights()
    for name, column in columns.items():
        filled.tables["IRS2"][name] = column
    step = RefPix()
    groupdq = np.zeros(data.shape, np.uint8)
    groupdq[:, :, 648:652], groupdq[0, 1, 652] = 1, 4
    ramp = ramp_of(data, META, put, groupdq=groupdq, pixeldq=np.zeros(data.shape[2:], np.uint32)).replace(meta=META)
    tables = on_device(step.prepare({"refpix": filled}, META), put)
    with stays_on_device():
        out = step(ramp, tables)
    return data, ramp, out, {name: get(getattr(out, name)) for name in ("data", "groupdq", "pixeldq")}


def test_shared_noise_goes(corrected):
    """Of the noise between groups, slow parts are gone; left are those faster than the weights reach, half in all."""
    data, _, _, found = corrected
    pixels = irs2.is_pixel(3200, reverse=False)
    before, after = np.diff(data[0][:, pixels], axis=0), np.diff(found["data"][0], axis=0)
    assert after.std() < 0.5 * before.std()
    slow = [diff[0].reshape(4, 512, 2048).mean(axis=1) for diff in (before, after)]  # by amplifier and line
    assert slow[1].std() < 0.1 * slow[0].std()
    np.testing.assert_allclose(found["data"][0].mean(axis=0), data[0][:, pixels].mean(axis=0), atol=1e-2)


def test_rows_of_pixels_are_left(corrected, device):
    _, ramp, out, found = corrected
    assert out.data.shape == out.groupdq.shape == (1, 2, 2048, 2048) and out.pixeldq.shape == (2048, 2048)
    assert out.rows == out.interior == slice(0, 2048)
    assert np.argwhere(found["groupdq"]).tolist() == [[0, 1, 8, x] for x in range(2048)]
    if device == "cpu":
        assert np.shares_memory(out.data, ramp.data)


def test_who_takes_it():
    step = RefPix()
    assert step.requires(META) == ("refpix",) and step.whole(META) and step.inapplicable(META) is None
    assert step.shape(META, (1, 2, 3200, 2048)) == (1, 2, 2048, 2048)
    assert RefPix(preserve_irs2_refpix=True).shape(META, (1, 2, 3200, 2048)) == (1, 2, 3200, 2048)
    other = meta_of(SUBSIZE1=2048, SUBSIZE2=2048)
    assert step.requires(other) == () and not step.whole(other) and step.shape(other, (1, 2, 3, 4)) == (1, 2, 3, 4)


def test_a_table_of_another_length_is_refused():
    with pytest.raises(ReferenceError, match=r"refpix_0001.fits.*has 10 rows; 2916352 are needed"):
        RefPix().prepare({"refpix": reference(size=10)}, META)


def test_frames_that_keep_their_samples_go_no_further():
    """A later step's reference data are of the detector's rows alone."""
    with pytest.raises(StepError, match="reference data of 2048 rows, an exposure of 3200"):
        Tables(rows={"coeffs": np.zeros((2048, 5, 3))}).cut(slice(0, 3200), slice(0, 3))
