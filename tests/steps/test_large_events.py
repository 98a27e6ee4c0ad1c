"""Snowballs and showers: events drawn by hand, and what each parameter does to them."""

import numpy as np
import pytest

from gpujw.cpu_fallback.reference import ellipse as ellipse_kernel
from gpujw.dq import CHARGELOSS, DO_NOT_USE, JUMP_DET, REFERENCE_PIXEL, SATURATED
from gpujw.step import Tables
from gpujw.steps.ellipses import Ellipses, contain, measured, outlines
from gpujw.steps.jump import Jump
from gpujw.steps.large_events import flag_showers_inplace, flag_snowballs_inplace

from .fakes import meta_of, on_device, ramp_of

SHAPE = 2, 6, 151, 137
ROWS, COLUMNS = np.indices(SHAPE[2:])
CENTER = 75, 68


def disc(center, radius, stretch=1.0):
    """Pixels within ``radius`` of a center, ``stretch`` times that along the rows."""
    return np.hypot((ROWS - center[0]) / stretch, COLUMNS - center[1]) <= radius


def snowball(center=CENTER, radius=9, core=4, group=2, late=0):
    """Flags of an exposure with one event in its first integration, whose core saturates ``late`` groups after it."""
    groupdq = np.zeros(SHAPE, np.uint8)
    groupdq[0, group][disc(center, radius)] = JUMP_DET
    groupdq[0, group + late :, disc(center, core)] = SATURATED
    return groupdq


def find(put, get, groupdq, tgroup=10.0, **parameters):
    ramp = ramp_of(np.zeros(groupdq.shape, np.float32), meta_of(TGROUP=tgroup), put, groupdq)
    events = flag_snowballs_inplace(ramp, Jump(expand_large_events=True, **parameters))
    assert isinstance(events, int)
    return get(ramp.groupdq), events


def test_a_snowball_grows(put, get):
    groupdq, events = find(put, get, snowball())
    assert events == 1
    # A disc's ellipse: axes of four standard deviations, less one pixel, doubled; the core two pixels wider all round.
    flagged, saturated = groupdq[0, 2] == JUMP_DET, groupdq[0, 2] == SATURATED
    axis = 2 * (4 * np.sqrt(np.var(ROWS[disc(CENTER, 9) & ~disc(CENTER, 4)])) - 1)
    np.testing.assert_array_equal(flagged | saturated, disc(CENTER, round(axis / 2) - 0.01))
    core = 4 * np.sqrt(np.var(ROWS[disc(CENTER, 4)])) - 1 + 4
    np.testing.assert_array_equal(saturated, disc(CENTER, round(core / 2) - 0.01))
    # Jumps stay in their group, saturation to the end of the integration.
    np.testing.assert_array_equal(groupdq[0, 3:] == SATURATED, np.broadcast_to(saturated, (3, *SHAPE[2:])))
    assert not (groupdq[0, [0, 1, 3, 4, 5]] & JUMP_DET).any()
    assert not (groupdq[0, :2] & SATURATED).any()


def test_saturation_takes_the_place_of_other_flags(put, get):
    flags = snowball()
    flags[0, 1:, CENTER[0] + 4, CENTER[1] + 2] |= DO_NOT_USE
    flags[0, 1:, CENTER[0] + 12, CENTER[1]] |= DO_NOT_USE
    groupdq, _ = find(put, get, flags)
    assert groupdq[0, 1:, CENTER[0] + 4, CENTER[1] + 2].tolist() == [1, 2, 2, 2, 2]
    assert groupdq[0, 1:, CENTER[0] + 12, CENTER[1]].tolist() == [1, 5, 1, 1, 1]


@pytest.mark.parametrize(("seconds", "groups"), [(4000, [1, 2, 3, 4, 5]), (39.0, [1, 2]), (20, [1]), (19, []), (0, [])])
def test_the_core_is_masked_in_the_next_integration(put, get, seconds, groups):
    core = disc(CENTER, round((4 * np.sqrt(np.var(ROWS[disc(CENTER, 4)])) - 1) / 2) - 0.01)
    groupdq, _ = find(put, get, snowball(), snowball_time_masked_next_int=seconds)
    masked = (groupdq[1] == JUMP_DET).reshape(6, -1).any(axis=1)
    assert np.flatnonzero(masked).tolist() == groups
    for g in groups:
        np.testing.assert_array_equal(groupdq[1, g] == JUMP_DET, core)


def test_the_core_is_not_masked_where_that_is_not_wanted(put, get):
    groupdq, _ = find(put, get, snowball(), mask_snowball_core_next_int=False)
    assert not groupdq[1].any()


def test_an_event_without_a_core_is_none_but_near_the_edge(put, get):
    for center, expected in ((CENTER, 0), ((24, 68), 1), ((26, 68), 0), ((127, 68), 1), ((75, 24), 1), ((75, 113), 0)):
        flags = snowball(center, core=-1)
        groupdq, events = find(put, get, flags)
        assert events == expected
        assert (groupdq != flags).any() == bool(expected)
    # The far edge along the columns is measured from the number of rows, as by the peer: here it is not reached.
    assert find(put, get, snowball((75, 113), core=-1), edge_size=39)[1] == 1
    assert find(put, get, snowball((24, 68), core=-1), edge_size=20)[1] == 0


def test_a_core_that_saturates_in_the_next_group_counts(put, get):
    assert find(put, get, snowball(late=1))[1] == 1
    assert find(put, get, snowball(late=2))[1] == 0
    assert find(put, get, snowball(group=5))[1] == 1


def test_a_core_beside_the_event_does_not_count(put, get):
    flags = snowball(core=-1)
    flags[0, 2:, disc((75, 68 + 30), 3)] = SATURATED
    assert find(put, get, flags)[1] == 0
    # Within a slanting event's box, but not within its ellipse.
    flags = np.zeros(SHAPE, np.uint8)
    flags[0, 2][np.abs(ROWS - COLUMNS - 7) <= 1] = JUMP_DET
    flags[0, 2, :30] = flags[0, 2, 121:] = 0
    flags[0, 2:, disc((50, 95), 3)] = SATURATED
    assert find(put, get, flags)[1] == 0


def test_a_saturated_core_of_the_other_integration_does_not_count(put, get):
    flags = snowball(core=-1)
    flags[1, 2:, disc(CENTER, 4)] = SATURATED
    assert find(put, get, flags)[1] == 0


def test_without_a_core_required_every_event_grows_and_nothing_is_saturated(put, get):
    flags = snowball() | snowball((30, 40), radius=3, core=-1)
    groupdq, events = find(put, get, flags, sat_required_snowball=False)
    assert events == 2
    np.testing.assert_array_equal(groupdq & SATURATED, flags & SATURATED)
    assert not groupdq[1].any()
    assert groupdq[0, 2, 30, 44] == JUMP_DET


def test_small_cores_do_not_grow(put, get):
    flags = snowball()
    groupdq, events = find(put, get, flags, min_sat_radius_extend=8)
    assert events == 1
    np.testing.assert_array_equal(groupdq & SATURATED, flags & SATURATED)


def test_areas_count_holes(put, get):
    flags = snowball(radius=3, core=1.5)
    area = int(disc(CENTER, 3).sum())
    assert np.count_nonzero(flags[0, 2] == JUMP_DET) == area - 9
    assert find(put, get, flags, min_jump_area=area)[1] == 1
    assert find(put, get, flags, min_jump_area=area + 0.5)[1] == 0
    assert find(put, get, flags, min_sat_area=10)[1] == 0


def test_growth_has_a_bound(put, get):
    groupdq, _ = find(put, get, snowball(radius=30, core=20), max_extended_radius=6)
    grown = groupdq[0, 2] != snowball(radius=30, core=20)[0, 2]
    assert not grown.any()
    groupdq, _ = find(put, get, snowball(), max_extended_radius=12)
    np.testing.assert_array_equal(groupdq[0, 2] != 0, disc(CENTER, 12 - 0.01))


def test_growth_shows_in_later_groups(put, get):
    """Saturation that was painted is not new, and jumps under it are gone, when the next group is looked at."""
    flags = snowball()
    flags[0, 3:, disc(CENTER, 5) & ~disc(CENTER, 4)] = SATURATED
    flags[0, 3, disc(CENTER, 6) & ~disc(CENTER, 5)] = JUMP_DET
    groupdq, events = find(put, get, flags, sat_expand=4)
    assert events == 1
    assert not (groupdq[0, 3:] & JUMP_DET).any()
    assert find(put, get, flags, sat_expand=0)[1] == 2


def test_ellipses_have_the_moments_of_what_they_stand_for():
    angle = np.radians(25)
    dx, dy = COLUMNS - 60.0, ROWS - 70.0
    inside = ((dy * np.cos(angle) + dx * np.sin(angle)) / 40) ** 2 + (
        (dy * np.sin(angle) - dx * np.cos(angle)) / 13
    ) ** 2 < 1
    table = table_of(inside)
    ellipse = measured(table)
    # A region of N pixels has the moments of the ellipse within its pixels' scatter, some tenths of a pixel.
    assert ellipse.x == pytest.approx(60, abs=0.1) and ellipse.y == pytest.approx(70, abs=0.1)
    assert ellipse.major == pytest.approx(80 - 1, abs=0.5) and ellipse.minor == pytest.approx(26 - 1, abs=0.5)
    assert ellipse.angle == pytest.approx(25, abs=0.2)
    drawn = np.zeros((1, 1, *SHAPE[2:]), np.uint8)
    shape = outlines(ellipse, (ellipse.minor + 1, ellipse.major + 1), 0, SHAPE[2:])
    ellipse_kernel.flag_inplace(drawn, drawn, shape, after=0, spare=0)
    # All the same, but for a few pixels of 170 along the rim.
    assert np.count_nonzero((drawn[0, 0] != 0) ^ inside) < 10


def table_of(inside):
    rows, columns = np.nonzero(inside)
    dy, dx = rows - rows.mean(), columns - columns.mean()
    return np.array([[0, rows.size, columns.mean(), rows.mean(), (dx * dx).sum(), (dx * dy).sum(), (dy * dy).sum()]])


def test_lines_and_points():
    line = measured(table_of((ROWS == 50) & (COLUMNS > 20) & (COLUMNS < 34)))
    assert (line.minor, abs(line.angle)) == (-1, 90)
    point = measured(table_of((ROWS == 50) & (COLUMNS == 20)))
    assert (point.minor, point.major) == (-1, -1)
    both = outlines(point, (point.minor, point.major), 0, SHAPE[2:])
    assert both.shape == (0, 12)  # half of -1 rounds to zero: nothing is drawn
    assert measured(np.empty((0, 7))).minor.shape == (0,)


def test_points_in_ellipses():
    """Their angle is taken from x here, as by the peer: about a core a slanting event is looked at in the mirror."""
    one = np.ones(4)
    ellipses = Ellipses(0 * one, 60 * one, 70 * one, 10 * one, 40 * one, 30 * one)
    along = np.array([0, 19.9, 20.1, 0])
    across = np.array([0, 0, 0, 5.1])
    sine, cosine = np.sin(np.radians(30)), np.cos(np.radians(30))
    x, y = 60 + along * cosine - across * sine, 70 + along * sine + across * cosine
    assert contain(ellipses, x, y).tolist() == [True, True, False, False]


def rising(shape=(1, 14, 97, 101), seed=4):
    """Counts that rise by 20 DN a group, with read noise, and no flags but those of a MIRI exposure."""
    rng = np.random.default_rng(seed)
    data = 20 * np.arange(shape[1]).reshape(-1, 1, 1) + rng.normal(0, 4, shape)
    groupdq = np.zeros(shape, np.uint8)
    groupdq[:, [0, -1]] = DO_NOT_USE
    return data.astype(np.float32), groupdq


def glow(shape, center, amplitude, width=8.0):
    rows, columns = np.indices(shape[2:])
    return amplitude * np.exp(-((rows - center[0]) ** 2 + (columns - center[1]) ** 2) / (2 * width**2))


def search(put, get, data, groupdq, pixeldq=None, tgroup=3.0, **parameters):
    ramp = ramp_of(data, meta_of(TGROUP=tgroup, INSTRUME="MIRI"), put, groupdq, pixeldq)
    planes = np.full(data.shape[2:], 5.5, np.float32), np.full(data.shape[2:], 5.5 * 4 * 2**0.5, np.float32)
    tables = on_device(Tables(rows=dict(zip(("gain", "readnoise"), planes, strict=True))), put)
    events = flag_showers_inplace(ramp, Jump(find_showers=True, **parameters), tables)
    assert isinstance(events, int)
    return get(ramp.groupdq), events


def showered(amplitude=30.0, **others):
    data, groupdq = rising(**others)
    data[0, 6:] += glow(data.shape, (50, 45), amplitude).astype(np.float32)
    return data, groupdq


def test_a_shower_is_flagged_in_its_group_and_those_after(put, get):
    data, groupdq = showered()
    out, events = search(put, get, data, groupdq, max_shower_amplitude=20)
    assert events == 1
    # 15 s are 5 groups of 3 s: the group of the shower and five more.
    assert out[0, :, 50, 45].tolist() == [1, 0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 0, 1]
    center = np.hypot(*(np.indices(data.shape[2:]) - np.array([50, 45]).reshape(2, 1, 1)))
    assert (out[0, 6][center < 8] == JUMP_DET).all() and not out[0, 6][center > 25].any()


def test_noise_alone_is_no_shower(put, get):
    data, groupdq = rising()
    out, events = search(put, get, data, groupdq)
    assert events == 0
    np.testing.assert_array_equal(out, groupdq)


@pytest.mark.parametrize(("seconds", "last"), [(0.0, 6), (2.9, 6), (3.0, 7), (1e4, 13)])
def test_how_long_a_shower_lasts(put, get, seconds, last):
    out, _ = search(put, get, *showered(), time_masked_after_shower=seconds, max_shower_amplitude=20)
    assert np.flatnonzero(out[0, :, 50, 45] & JUMP_DET).tolist() == list(range(6, last + 1))


def test_too_bright_is_no_shower(put, get):
    """Without the two differences of the shower the mean falls by 30 DN / 11, 15 electrons, give or take 4 for noise."""
    data, groupdq = showered()
    for amplitude, flagged in ((9.0, True), (2.0, False)):
        out, events = search(put, get, data, groupdq, max_shower_amplitude=amplitude, time_masked_after_shower=0)
        assert events == 1
        assert abs((out[0, 6, 48:53, 43:48] == 0).mean() - flagged) > 0.9


def test_the_default_amplitude_is_that_of_the_peers_library(put, get):
    data, groupdq = showered(34.0)
    given = {"time_masked_after_shower": 0}
    default, _ = search(put, get, data, groupdq, **given)
    np.testing.assert_array_equal(default, search(put, get, data, groupdq, max_shower_amplitude=6.0, **given)[0])
    other, _ = search(put, get, data, groupdq, max_shower_amplitude=4.0001, **given)
    assert np.count_nonzero(default & JUMP_DET) > np.count_nonzero(other & JUMP_DET) > 0
    assert Jump().max_shower_amplitude == 4.0


def test_few_differences_are_not_searched(put, get):
    # 13 differences less 2 groups that are not used are 11; one group less and one more unused, 9.
    data, groupdq = showered()
    assert search(put, get, data, groupdq)[1] == 1
    groupdq[0, 11:] = DO_NOT_USE
    out, events = search(put, get, data, groupdq)
    assert events == 0
    np.testing.assert_array_equal(out, groupdq)


def test_the_group_after_the_unused_ones_is_not_searched(put, get):
    """Flags of unused groups with others beside DO_NOT_USE do not keep a difference from being taken."""
    data, groupdq = rising()
    groupdq[:, 0] = DO_NOT_USE | CHARGELOSS
    data[0, 1:] += glow(data.shape, (50, 45), 60).astype(np.float32)
    assert search(put, get, data, groupdq)[1] == 0
    groupdq[:, 0] = 0
    assert search(put, get, data, groupdq)[1] == 1


def test_reference_pixels_are_left_alone(put, get):
    data, groupdq = showered()
    pixeldq = np.zeros(data.shape[2:], np.uint32)
    pixeldq[:, 44] = REFERENCE_PIXEL
    out, events = search(put, get, data, groupdq, pixeldq, max_shower_amplitude=20)
    assert events >= 1
    assert not out[0, 1:-1, :, 44].any()
    assert out[0, 6, 50, 43] == out[0, 6, 50, 45] == JUMP_DET


def test_many_integrations_are_compared_group_by_group(put, get):
    """A glow that comes in the same group of every integration is usual there."""
    data, groupdq = rising((12, 6, 97, 101))
    data[:, 2:] += glow(data.shape, (50, 45), 60).astype(np.float32)
    data[3, 3:] += glow(data.shape, (20, 75), 60).astype(np.float32)
    found = dict.fromkeys((100, 12))
    for least in found:
        out, found[least] = search(put, get, data, groupdq, minimum_sigclip_groups=least, max_shower_amplitude=60)
    assert found == {100: 1 + 12, 12: 1}
    assert out[3, 3, 20, 80] == JUMP_DET and not out[:, 2].any()


def test_a_smaller_area_finds_more(put, get):
    data, groupdq = rising()
    data[0, 6:] += glow(data.shape, (50, 45), 40, width=2.0).astype(np.float32)
    areas = {area: search(put, get, data, groupdq, extend_min_area=area)[1] for area in (20, 400)}
    assert areas == {20: 1, 400: 0}
