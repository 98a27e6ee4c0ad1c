"""The dark step: frames averaged and extrapolated to the exposure's groups, integrations, rates, the saved dark."""

import numpy as np
import pytest
from astropy.io import fits

from gpujw.dq import HOT, UNRELIABLE_DARK, WARM
from gpujw.errors import OutputError, ReferenceError
from gpujw.step import SkipStep
from gpujw.steps.dark_current import DarkCurrent

from .fakes import FakeReference, block_of, in_blocks, meta_of, on_device, ramp_of

NY, NX = 37, 53
MIRI = {"INSTRUME": "MIRI", "DETECTOR": "MIRIMAGE"}


def dark_of(*shape, nframes=1, groupgap=0, **others):
    """A dark whose frame k of integration i is 100 (i + 1) + k + k^2 / 8 and a slope over the frame."""
    k = np.arange(shape[-1])
    place = np.arange(NY)[:, None] / 4 + np.arange(NX) / 8
    frames = 100 * (1 + np.arange(shape[0] if len(shape) == 2 else 1))[:, None] + k + k**2 / 8
    frames = frames.reshape(*shape, 1, 1) + place
    header = {"NFRAMES": nframes, "GROUPGAP": groupgap, "NAXIS3": 7, "TELESCOP": "JWST", **others.pop("header", {})}
    arrays = {"SCI": frames, **others.pop("arrays", {})}
    return FakeReference(arrays, header=header, path="jwst_nircam_dark_0001.fits", **others)


def prepared(dark, nint=1, ngroup=3, nframes=1, groupgap=0, step=None, **cards):
    meta = meta_of(NINTS=nint, NGROUPS=ngroup, NFRAMES=nframes, GROUPGAP=groupgap, **cards)
    return meta, (step or DarkCurrent()).prepare({"dark": dark}, meta)


def level(dark, k, integration=None):
    """The dark at pixel (0, 0), at the frames ``k``."""
    frames = dark.arrays["SCI"] if integration is None else dark.arrays["SCI"][integration]
    return frames[k, 0, 0]


@pytest.mark.parametrize(
    ("cadence", "readout", "frames"),
    [
        # Of the dark, of the exposure, the dark frames that make each group.
        ((1, 0), (3, 1, 0), [[0], [1], [2]]),
        ((4, 1), (3, 4, 1), [[0], [1], [2]]),
        ((1, 0), (3, 4, 0), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]),
        ((1, 0), (3, 2, 3), [[0, 1], [5, 6], [10, 11]]),
        ((1, 0), (3, 1, 4), [[0], [5], [10]]),
        ((1, 0), (1, 8, 2), [list(range(8))]),
    ],
)
def test_averages(cadence, readout, frames):
    dark = dark_of(12, nframes=cadence[0], groupgap=cadence[1])
    _, tables = prepared(dark, 1, *readout)
    assert tables["frames"].shape == (NY, 1, readout[0], NX)
    assert tables["frames"].dtype == np.float32 and tables["frames"].flags.c_contiguous
    for g, group in enumerate(frames):
        expected = np.mean([dark.arrays["SCI"][k] for k in group], axis=0)
        np.testing.assert_array_equal(tables["frames"][:, 0, g], expected)  # eighths are exact in float32


def test_a_short_dark_is_extrapolated(caplog):
    # Frames 5, 6, 7 ... go on by the step from frame 3 to frame 4, 1 + 7 / 8.
    dark = dark_of(5)
    _, tables = prepared(dark, 1, 3, 2, 1)
    step = level(dark, 4) - level(dark, 3)
    expected = [level(dark, [0, 1]).mean(), level(dark, [3, 4]).mean(), level(dark, 4) + 2.5 * step]
    np.testing.assert_array_equal(tables["frames"][0, 0, :, 0], expected)
    assert "3 frames shorter than the exposure and is extrapolated" in caplog.text


def test_a_short_dark_of_the_same_readout_is_extrapolated():
    dark = dark_of(4, nframes=4, groupgap=2)
    _, tables = prepared(dark, 1, 6, 4, 2)
    step = level(dark, 3) - level(dark, 2)
    expected = [*level(dark, np.arange(4)), level(dark, 3) + step, level(dark, 3) + 2 * step]
    np.testing.assert_array_equal(tables["frames"][0, 0, :, 0], expected)


def test_unknowns_are_zero():
    dark = dark_of(5)
    dark.arrays["SCI"][1, 3, 4] = np.nan
    dark.arrays["SCI"][3, 5, 6] = np.nan
    _, tables = prepared(dark, 1, 4, 2, 0)
    group = tables["frames"][:, 0]
    assert group[3, 0, 4] == dark.arrays["SCI"][0, 3, 4] / 2
    assert group[5, 1, 6] == dark.arrays["SCI"][2, 5, 6] / 2
    # Frame 5 is extrapolated from frames 3 and 4, one of them unknown.
    assert group[5, 2, 6] == dark.arrays["SCI"][4, 5, 6] / 2
    assert group[5, 3, 6] == 0
    assert np.isfinite(group).all()


@pytest.mark.parametrize(
    ("nint", "start", "integrations"),
    [(1, 1, [0]), (2, 1, [0, 1]), (5, 1, [0, 1, 2]), (5, 4, [2]), (5, None, [0, 1, 2]), (1, 2, [2])],
)
def test_integrations_of_miri(put, get, nint, start, integrations):
    dark = dark_of(3, 8, dq=np.zeros((3, 1, NY, NX)))
    meta, tables = prepared(dark, nint, 2, 4, 0, **MIRI, INTSTART=start)
    assert tables["frames"].shape == (NY, len(integrations), 2, NX)
    off = 70000 - get(DarkCurrent()(ramp_of(np.full((nint, 2, NY, NX), 70000), meta, put), on_device(tables, put)).data)
    for i in range(nint):
        frames = dark.arrays["SCI"][integrations[min(i, len(integrations) - 1)]]
        np.testing.assert_array_equal(off[i], 70000 - (70000 - frames.reshape(2, 4, NY, NX).mean(axis=1)).astype("f4"))


def test_flags_of_all_integrations(put, get):
    flags = np.zeros((3, 1, NY, NX), np.uint32)
    flags[0, 0, 1], flags[2, 0, 1:3] = HOT, UNRELIABLE_DARK
    dark = dark_of(3, 8, dq=flags)
    meta, tables = prepared(dark, **MIRI)
    before = np.full((NY, NX), WARM, np.uint32)
    out = DarkCurrent()(ramp_of(np.zeros((1, 3, NY, NX)), meta, put, pixeldq=before), on_device(tables, put))
    found = get(out.pixeldq)
    assert (found[1] == WARM | HOT | UNRELIABLE_DARK).all() and (found[2] == WARM | UNRELIABLE_DARK).all()
    assert (found[3:] == WARM).all()


def test_nothing_else_changes(put, get, stays_on_device):
    data = np.random.default_rng(0).normal(1000, 100, (2, 3, NY, NX)).astype(np.float32)
    dark = dark_of(3)
    meta, tables = prepared(dark, 2)
    tables, ramp = on_device(tables, put), ramp_of(data, meta, put, zeroframe=data[:, 0])
    with stays_on_device():
        out = DarkCurrent()(ramp, tables)
    np.testing.assert_array_equal(get(out.data), data - dark.arrays["SCI"].astype(np.float32))
    np.testing.assert_array_equal(get(out.zeroframe), data[:, 0])
    assert not get(out.groupdq).any() and out.data is ramp.data


@pytest.mark.parametrize(("nframes", "groupgap"), [(2, 0), (1, 1), (2, 1)])
def test_a_coarser_dark_skips_the_step(nframes, groupgap):
    with pytest.raises(SkipStep, match=f"NFRAMES={nframes} and GROUPGAP={groupgap}, more than the exposure's 1 and 0"):
        prepared(dark_of(12, nframes=nframes, groupgap=groupgap))


@pytest.mark.parametrize(
    ("dark", "readout"),
    [
        (dark_of(1), (2, 1, 0)),  # one group has no step to go on by
        (dark_of(4, nframes=2, groupgap=1), (2, 4, 2)),  # ten frames span, but only four groups to average
    ],
)
def test_a_dark_too_short(dark, readout):
    with pytest.raises(ReferenceError, match=r"jwst_nircam_dark_0001.fits: the dark has . groups of NFRAMES"):
        prepared(dark, 1, *readout)


def test_a_dark_must_say_how_it_was_read():
    with pytest.raises(ReferenceError, match="lacks NFRAMES or GROUPGAP"):
        prepared(dark_of(3, header={"NFRAMES": None}))


IMAGE = {"AVDRKCUR": np.full((NY, NX), 0.25)}
NO_IMAGE = {"AVDRKCUR": np.zeros((NY, NX))}


@pytest.mark.parametrize(
    ("parameter", "keyword", "arrays", "rate"),
    [
        (None, None, {}, None),
        (None, 0.0, {}, None),
        (None, 0.002, {}, 0.002),
        (0.5, 0.002, IMAGE, 0.5),
        (0.0, 0.002, {}, None),
        (None, 0.002, NO_IMAGE, 0.002),
        (None, 0.002, IMAGE, None),
    ],
)
def test_average_rate(put, get, parameter, keyword, arrays, rate):
    step = DarkCurrent(average_dark_current=parameter)
    dark = dark_of(3, header={"AVDRKCUR": keyword}, arrays=arrays)
    meta, tables = prepared(dark, step=step)
    found = step(ramp_of(np.zeros((1, 3, NY, NX)), meta, put), on_device(tables, put)).dark_rate
    if rate is None:
        assert found is None
    else:
        np.testing.assert_array_equal(get(found), np.full((NY, NX), rate, np.float32))


def test_an_image_of_the_rate_is_not_applied_in_silence(caplog):
    prepared(dark_of(3, arrays=IMAGE))
    assert "its AVDRKCUR image is not applied" in caplog.text


def test_blocks_of_any_size_give_the_same():
    step = DarkCurrent(average_dark_current=0.1)
    meta, tables = prepared(dark_of(3, 8), 2, 3, 2, 0, step, **MIRI)
    data = np.random.default_rng(0).normal(1000, 100, (2, 3, NY, NX))
    whole = step(ramp_of(data, meta), tables)
    for size in (1, 5, 36):
        blocks = in_blocks(step, ramp_of(data, meta), tables, size)
        np.testing.assert_array_equal(blocks.data, whole.data)
        np.testing.assert_array_equal(blocks.pixeldq, whole.pixeldq)
    rows = slice(7, 11)
    block = step(block_of(ramp_of(data, meta), rows, slice(0, 4)), tables.cut(rows, slice(None)))
    assert block.dark_rate.shape == (4, NX)


@pytest.mark.parametrize(("dark", "name"), [(dark_of(8), "averaged.fits"), (dark_of(2, 8), "averaged")])
def test_the_dark_is_saved(tmp_path, dark, name):
    step = DarkCurrent(dark_output=str(tmp_path / name))
    _, tables = prepared(dark, 2, 2, 4, 0, step)
    assert [path.name for path in tmp_path.iterdir()] == ["averaged.fits"]
    with fits.open(tmp_path / "averaged.fits", checksum=True) as saved:
        header = saved[0].header
        assert (header["NFRAMES"], header["GROUPGAP"], header["NGROUPS"]) == (4, 0, 2)
        assert (header["TELESCOP"], header["FILENAME"]) == ("JWST", "averaged.fits")
        frames = saved["SCI"].data
        assert frames.ndim == len(dark.shape()) and saved["SCI"].header["BITPIX"] == -32
        np.testing.assert_array_equal(frames.reshape(-1, 2, NY, NX), tables["frames"].transpose(1, 2, 0, 3))
        np.testing.assert_array_equal(saved["DQ"].data, dark.dq())


def test_a_dark_that_cannot_be_saved(tmp_path):
    with pytest.raises(OutputError, match="averaged.fits: the dark cannot be written: No such file"):
        prepared(dark_of(3), step=DarkCurrent(dark_output=str(tmp_path / "nowhere" / "averaged.fits")))
    (tmp_path / "averaged.fits").mkdir()
    with pytest.raises(OutputError, match="averaged.fits: the dark cannot be written: Is a directory"):
        prepared(dark_of(3), step=DarkCurrent(dark_output=str(tmp_path / "averaged.fits")))
    assert [path.name for path in tmp_path.iterdir()] == ["averaged.fits"]  # no half of a file beside it


def test_names():
    assert (DarkCurrent().name, DarkCurrent().status, DarkCurrent.references) == ("dark_current", "S_DARK", ("dark",))
