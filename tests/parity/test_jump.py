"""The jump step against the peer's, flag for flag and keyword for keyword, in all its branches."""

import logging

import numpy as np
import pytest

from gpujw.dq import DO_NOT_USE, JUMP_DET, SATURATED
from gpujw.steps.jump import Jump

from ..steps.fakes import FakeReference, meta_of, ramp_of

pytestmark = pytest.mark.parity
peer = pytest.importorskip("jwst.jump")
datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")

TGROUP = 10.73676


def exposure(shape, seed, *, bad=0.05, instrument="NIRCAM", whole_numbers=False):
    """Ramps of sources and cosmic rays, counts and flags; gain and noise with what they have in flight."""
    rng = np.random.default_rng(seed)
    nint, ngroup, ny, nx = shape
    gain = rng.uniform(1.5, 2.5, (ny, nx))
    noise = rng.uniform(5, 20, (ny, nx))
    rate = 10 ** rng.uniform(-1, 2.5, (ny, nx))
    data = np.cumsum(rng.poisson(rate * gain, shape), axis=1) / gain
    data = np.round(data) if whole_numbers else data + rng.normal(0, noise / 2, shape)
    hits = (rng.random(shape) < 0.04) * 10 ** rng.uniform(1.3, 4.8, shape) * rng.choice([1, 1, 1, -0.3], shape)
    data += np.cumsum(np.round(hits) if whole_numbers else hits, axis=1)
    groupdq = np.zeros(shape, np.uint8)
    groupdq[rng.random(shape) < bad] |= DO_NOT_USE
    groupdq[rng.random(shape) < bad / 4] |= JUMP_DET
    full = rng.random((nint, 1, ny, nx)) < bad
    groupdq[full & (np.arange(ngroup)[:, None, None] >= rng.integers(0, ngroup, (nint, 1, ny, nx)))] |= SATURATED
    groupdq[:, :, 1, :3] |= SATURATED  # all of a ramp
    groupdq[:, 2:, 1, 3:6] |= SATURATED  # one difference is left of it
    groupdq[:, 3:, 1, 6:9] |= SATURATED
    if instrument == "MIRI":
        groupdq[:, 0] |= DO_NOT_USE
        groupdq[:, -1] |= DO_NOT_USE
        groupdq[0, 1] |= DO_NOT_USE
    gain[0, :4] = np.nan, 0, -1, 1.7
    noise[0, 3:6] = 0, np.nan, 0
    data[:, ngroup // 2, 2, :4] = np.nan
    data[:, :, 3, :4] = 7
    return [a.astype(np.float32) for a in (data, gain, noise)] + [groupdq]


def placed(model):
    ny, nx = model.data.shape[-2:]
    where = model.meta.subarray
    where.xstart, where.ystart, where.xsize, where.ysize = 1, 1, nx, ny
    return model


def by_peer(arrays, nframes, instrument, parameters):
    data, gain, noise, groupdq = (a.copy() for a in arrays)
    model = placed(datamodels.RampModel(data=data, groupdq=groupdq, pixeldq=np.zeros(gain.shape, np.uint32)))
    model.meta.instrument.name = instrument
    cards = model.meta.exposure
    cards.nints, cards.ngroups, cards.nframes, cards.group_time = *data.shape[:2], nframes, TGROUP
    references = {
        "gain": placed(datamodels.GainModel(data=gain)),
        "readnoise": placed(datamodels.ReadnoiseModel(data=noise)),
    }
    step = peer.JumpStep(**parameters)
    step.get_reference_file = lambda _, kind: references[kind]
    out = step.process(model)
    rates = out.meta.exposure
    keywords = {"PRIMECRS": rates.primary_cosmic_rays, "EXTNCRS": rates.extended_emission_events}
    return np.array(out.groupdq), np.array(out.pixeldq), {k: v for k, v in keywords.items() if v is not None}


def by_gpujw(arrays, nframes, instrument, parameters):
    data, gain, noise, groupdq = arrays
    step = Jump(**parameters)
    ramp = ramp_of(data, meta_of(NFRAMES=nframes, INSTRUME=instrument, TGROUP=TGROUP), groupdq=groupdq)
    refs = {"gain": FakeReference(gain), "readnoise": FakeReference(noise)}
    out = step(ramp, step.prepare(refs, ramp.meta))
    np.testing.assert_array_equal(out.data, data)
    return out.groupdq, out.pixeldq, step.keywords(out.report, ramp.meta)


def compare(arrays, nframes=4, instrument="NIRCAM", **parameters):
    """The flags of both, which must be equal, as must all else; how many jumps they have found."""
    logging.disable(logging.WARNING)
    with np.errstate(all="ignore"):
        groupdq, pixeldq, keywords = by_gpujw(arrays, nframes, instrument, parameters)
        expected, expected_pixeldq, expected_keywords = by_peer(arrays, nframes, instrument, parameters)
    logging.disable(logging.NOTSET)
    np.testing.assert_array_equal(groupdq, expected)
    np.testing.assert_array_equal(pixeldq, expected_pixeldq)
    assert keywords == expected_keywords
    return int(((groupdq & JUMP_DET) > (arrays[3] & JUMP_DET)).sum())


@pytest.mark.parametrize("nint", [1, 2, 5])
@pytest.mark.parametrize("ngroup", [3, 4, 5, 6, 8, 12, 20])
@pytest.mark.parametrize("seed", [1, 2])
def test_flags_and_keywords_are_equal(nint, ngroup, seed):
    arrays = exposure((nint, ngroup, 37, 53), seed, bad=0.04 * seed, whole_numbers=seed == 2)
    assert compare(arrays, nframes=4 ** (seed - 1)) > 20


@pytest.mark.parametrize("ngroup", [5, 8, 14, 25])
@pytest.mark.parametrize("seed", range(2))
def test_groups_that_no_pixel_may_use_are_not_counted(ngroup, seed):
    arrays = exposure((3, ngroup, 37, 53), seed, instrument="MIRI")
    found = compare(arrays, instrument="MIRI")
    assert found > 20 if ngroup > 5 else found == 0  # two are left of five


@pytest.mark.parametrize("ngroup", [3, 4, 5])
def test_exposures_with_too_few_groups_are_not_searched(ngroup):
    arrays = exposure((1, ngroup, 11, 13), 4, instrument="MIRI")
    assert compare(arrays, instrument="MIRI") == 0


@pytest.mark.parametrize("only_use_ints", [True, False])
@pytest.mark.parametrize("instrument", ["NIRCAM", "MIRI"])
@pytest.mark.parametrize("shape", [(120, 4, 11, 23), (101, 3, 11, 23), (30, 8, 11, 23)])
def test_sigma_clipping(shape, only_use_ints, instrument):
    arrays = exposure(shape, 5, instrument=instrument)
    compare(arrays, instrument=instrument, only_use_ints=only_use_ints)
    found = compare(arrays, instrument=instrument, only_use_ints=only_use_ints, minimum_sigclip_groups=20)
    # What is left of three groups of MIRI's is no difference.
    assert (found > 20) == (instrument == "NIRCAM" or shape[1] > 3)


def test_a_frame_full_of_jumps_keeps_its_groups():
    """A flash: every pixel jumps in one group of one integration."""
    arrays = exposure((120, 5, 11, 23), 6, bad=0, instrument="MIRI")
    data, gain, noise, groupdq = arrays
    gain[0], noise[0], groupdq[:, :, 1], data[:, :, 2:4] = 2, 10, 0, np.arange(5, dtype=np.float32)[:, None, None]
    groupdq[:] &= ~np.uint8(JUMP_DET)
    groupdq[40] = 0
    data[40, 2:] += 1e6
    compare(arrays, instrument="MIRI")
    assert not (by_gpujw(arrays, 4, "MIRI", {})[0][40, 2] & JUMP_DET).all()


@pytest.mark.parametrize(
    "parameters",
    [
        {"flag_4_neighbors": False},
        {"min_jump_to_flag_neighbors": 4.5, "max_jump_to_flag_neighbors": 60.0},
        {"rejection_threshold": 0.0},
        {"rejection_threshold": 12.0, "four_group_rejection_threshold": 2.0, "three_group_rejection_threshold": 1.0},
        {"min_diffs_single_pass": 3},
        {"min_diffs_single_pass": 100},
        {"after_jump_flag_dn1": 20.0, "after_jump_flag_time1": 15.0},
        {"after_jump_flag_time2": 11.0, "flag_4_neighbors": False},
        {
            "after_jump_flag_dn1": 20.0,
            "after_jump_flag_time1": 25.0,
            "after_jump_flag_dn2": 500.0,
            "after_jump_flag_time2": 1e4,
        },
    ],
)
@pytest.mark.parametrize("shape", [(1, 3, 37, 53), (2, 6, 37, 53), (1, 14, 37, 53), (110, 4, 11, 13)])
def test_parameters_are_obeyed(parameters, shape):
    compare(exposure(shape, 7), **parameters)


def test_many_pixels_at_once():
    assert compare(exposure((1, 10, 301, 613), 8)) > 1000
    assert compare(exposure((2, 20, 101, 613), 9, instrument="MIRI"), instrument="MIRI") > 1000
