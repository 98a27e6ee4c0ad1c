"""Products on disk: whole under their name, or not there."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from astropy.io import fits

from gpujw import backend, writer
from gpujw.errors import OutputError
from gpujw.writer import FLIP, Plane, ProductFile, Table


def header():
    return fits.Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True), ("OBSERVTN", "001")])


def product(path):
    rows = np.array([(1, 2.5)], dtype=[("a", ">i4"), ("b", ">f8")])
    table = fits.BinTableHDU(rows, name="TIMES")
    parts = [
        Plane("SCI", (3, 37, 53), "float32", (("BUNIT", "DN/s", "unit"),)),
        Table(table.header, rows.tobytes()),
        Plane("DQ", (37, 53), "uint32"),
        Plane("GROUPDQ", (2, 3, 37, 53), "uint8"),
    ]
    return ProductFile(path, header(), parts)


def arrays():
    rng = np.random.default_rng(1)
    return {
        "SCI": rng.normal(size=(3, 37, 53)).astype(np.float32),
        "DQ": rng.integers(0, 2**32, (37, 53), dtype=np.uint32),
        "GROUPDQ": rng.integers(0, 256, (2, 3, 37, 53), dtype=np.uint8),
    }


def fill(file, planes, bounds):
    for first, last in bounds:
        for name, array in planes.items():
            block, total = array[..., first:last, :].copy(), None
            if block.itemsize == 4:
                total = int(
                    backend.cpu().kernel("codec").encode_inplace(block.view(np.uint32), flip=FLIP[array.dtype.name])[0]
                )
            file.put(name, first, block, total)


@pytest.mark.parametrize("bounds", [[(0, 37)], [(0, 11), (11, 30), (30, 37)], [(30, 37), (0, 11), (11, 30)]])
def test_blocks_make_a_file_that_verifies(tmp_path, bounds, recwarn):
    path, planes = tmp_path / "x_rate.fits", arrays()
    file = product(path)
    file.open()
    assert not path.exists()
    fill(file, planes, bounds)
    sums = file.finish({"PRIMECRS": 1.5})
    with fits.open(path, checksum=True) as hdus:
        for name, array in planes.items():
            np.testing.assert_array_equal(hdus[name].data, array)
            assert hdus[name].header["DATASUM"] == sums[name]
            assert hdus[name].verify_datasum() == hdus[name].verify_checksum() == 1
        assert hdus[0].header["PRIMECRS"] == 1.5
        assert hdus[0].verify_checksum() == 1
        assert hdus["TIMES"].data["b"][0] == 2.5
    assert not recwarn.list
    assert [p.name for p in tmp_path.iterdir()] == ["x_rate.fits"]


def test_abort_leaves_nothing(tmp_path):
    file = product(tmp_path / "x_rate.fits")
    file.open()
    assert list(tmp_path.iterdir())
    file.abort()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_full_disk_is_told_and_nothing_stays(tmp_path, monkeypatch, call):
    file = product(tmp_path / "x_rate.fits")
    file.open()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer.os, call, full)
    with pytest.raises(OutputError, match=r"x_rate\.fits.*No space left"):
        fill(file, arrays(), [(0, 37)])
        file.finish({})
    file.abort()
    assert not list(tmp_path.iterdir())


def test_small_files_are_whole(tmp_path, monkeypatch):
    writer.write_whole(tmp_path / "m.json", b"{}")
    assert (tmp_path / "m.json").read_bytes() == b"{}"

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        writer.write_whole(tmp_path / "n.json", b"{}")
    assert [p.name for p in tmp_path.iterdir()] == ["m.json"]
