"""The inter-pixel capacitance step: which kernels it takes, where reference pixels are, and blocks of any size."""

import numpy as np
import pytest

from gpujw.errors import ReferenceError, StepError
from gpujw.steps.ipc import IPC, reference_edges

from .fakes import FakeReference, in_blocks, meta_of, on_device, ramp_of

COUPLING = np.array([[0, -0.01, 0], [-0.005, 1.03, -0.005], [0, -0.01, 0]])
FULL = meta_of(SUBSTRT1=1, SUBSTRT2=1)
MIRI = meta_of(INSTRUME="MIRI", DETECTOR="MIRIMAGE", SUBSTRT1=1, SUBSTRT2=1)


def prepared(kernel):
    return IPC().prepare({"ipc": FakeReference(kernel, path="jwst_nircam_ipc_0002.fits")}, FULL)


def test_charge_goes_back_to_where_it_fell(put, get):
    charge = np.zeros((1, 2, 37, 53))
    charge[0, :, 20, 30] = 10000
    coupled = charge.copy()
    coupled[0, :, 20, 30] = 9800
    for y, x in ((19, 30), (21, 30), (20, 29), (20, 31)):
        coupled[0, :, y, x] = 50
    kernel = np.array([[0, -1, 0], [-1, 204, -1], [0, -1, 0]]) / 200
    out = get(IPC()(ramp_of(coupled, FULL, put), on_device(prepared(kernel), put)).data)
    # What is left is of second order, (4 * 4 + 4) * 0.005**2 of the charge; float32 has 0.001 at 10000.
    assert np.abs(out - charge).max() < 20 * 0.005**2 * 10000 + 0.002


def test_blocks_of_any_size_give_the_same():
    data = np.random.default_rng(0).normal(10000, 300, (2, 3, 37, 53))
    tables = on_device(prepared(np.pad(COUPLING, 1, constant_values=0.001)))
    whole = IPC()(ramp_of(data, FULL), tables)
    for size in (1, 5, 36):
        np.testing.assert_array_equal(in_blocks(IPC(), ramp_of(data, FULL), tables, size).data, whole.data)


@pytest.mark.parametrize(
    ("meta", "rows", "columns", "expected"),
    [
        (FULL, slice(0, 2048), slice(0, 2048), (4, 4, 4, 4)),
        (FULL, slice(2, 64), slice(0, 2048), (2, 0, 4, 4)),
        (FULL, slice(0, 3), slice(0, 2048), (3, 0, 4, 4)),
        (FULL, slice(62, 128), slice(0, 2048), (0, 0, 4, 4)),
        (FULL, slice(1990, 2046), slice(0, 2048), (0, 2, 4, 4)),
        (FULL, slice(0, 2048), slice(0, 6), (4, 4, 4, 0)),
        (FULL, slice(0, 2048), slice(2042, 2048), (4, 4, 0, 4)),
        (meta_of(SUBSTRT1=1, SUBSTRT2=1793), slice(0, 256), slice(0, 256), (0, 4, 4, 0)),
        (meta_of(SUBSTRT1=101, SUBSTRT2=201), slice(0, 64), slice(0, 64), (0, 0, 0, 0)),
        (MIRI, slice(0, 1024), slice(0, 1032), (0, 0, 4, 4)),
        (MIRI, slice(0, 64), slice(0, 1032), (0, 0, 4, 4)),
    ],
)
def test_where_reference_pixels_are(meta, rows, columns, expected):
    shape = (1, 1, rows.stop - rows.start, columns.stop - columns.start)
    ramp = ramp_of(np.zeros(shape), meta).replace(rows=rows, columns=columns)
    assert tuple(reference_edges(ramp).values()) == expected


def test_kernels_that_it_takes():
    assert prepared(COUPLING)["kernel"].dtype == np.float32
    with pytest.raises(StepError, match=r"jwst_nircam_ipc_0002.fits.*\[3, 3, 37, 53\], one for each pixel"):
        prepared(np.zeros((3, 3, 37, 53)))
    for shape in ((2, 3), (3, 4), (9, 3)):
        with pytest.raises(ReferenceError, match="jwst_nircam_ipc_0002.fits"):
            prepared(np.zeros(shape))
    assert IPC().status == "S_IPC" and IPC().name == "ipc" and IPC().halo(FULL) == 3
