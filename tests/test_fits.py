"""Finding HDUs, strictly, and the checksums of what is written."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.io import fits as astropy_fits

from gpujw import fits
from gpujw.errors import InputError


@pytest.fixture
def file(tmp_path):
    """A file with an image of counts, a table and an odd-sized byte array."""
    rng = np.random.default_rng(3)
    path = tmp_path / "some.fits"
    table = np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "i4"), ("b", "f8")])
    hdus = [
        astropy_fits.PrimaryHDU(),
        astropy_fits.ImageHDU(rng.integers(0, 65535, (2, 3, 37, 53), dtype=np.uint16), name="SCI"),
        astropy_fits.BinTableHDU(table, name="GROUP"),
        astropy_fits.ImageHDU(rng.integers(0, 255, (7, 11), dtype=np.uint8), name="ODD"),
    ]
    astropy_fits.HDUList(hdus).writeto(path)
    return path


def test_scan_finds_what_astropy_finds(file):
    with astropy_fits.open(file) as hdus:
        expected = [(h.name, h._data_offset, h.filebytes() - (h._data_offset - h._header_offset)) for h in hdus]
    assert [(h.name, h.offset, fits.padded(h.nbytes)) for h in fits.scan(file)] == expected
    assert fits.scan(file)[1].shape == (2, 3, 37, 53)


@pytest.mark.parametrize("cut", [2880 - 77 + 1, 2881, 5000, 9000])
def test_truncated_file_is_told(file, cut):
    file.write_bytes(file.read_bytes()[:-cut])  # the last data are 77 bytes and their padding
    with pytest.raises(InputError, match=r"some\.fits.*truncated"):
        fits.scan(file)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"NAXIS   =                    4", b"NAXIS   =                 4000", "NAXIS"),
        (b"NAXIS1  =                   53", b"NAXIS1  =                  -53", "NAXISn"),
        (b"NAXIS2  =                   37", b"NAXIS2  =        3700000000000", "truncated"),
        (b"BITPIX  =                   16", b"BITPIX  =                'abc'", "BITPIX"),
        (b"XTENSION= 'IMAGE   '", b"XXXXXXXX= 'IMAGE   '", "no FITS header"),
    ],
)
def test_damaged_header_is_told(file, old, new, told):
    data = file.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, new, 1))
    with pytest.raises(InputError, match=told):
        fits.scan(file)


@pytest.mark.parametrize(
    "content", [b"", b"not a FITS file at all" * 200, b"SIMPLE  =                    T" + b" " * 2850]
)
def test_other_files_are_told(tmp_path, content):
    path = tmp_path / "other.fits"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"other\.fits"):
        fits.scan(path)


def test_signed_header_verifies(recwarn):
    rng = np.random.default_rng(5)
    for _ in range(50):  # the letters of CHECKSUM take many forms
        data = rng.integers(-(2**31), 2**31, rng.integers(1, 999), dtype=np.int32).astype(">i4").tobytes()
        header = astropy_fits.Header(
            [
                ("XTENSION", "IMAGE"),
                ("BITPIX", 32),
                ("NAXIS", 1),
                ("NAXIS1", len(data) // 4),
                ("PCOUNT", 0),
                ("GCOUNT", 1),
            ]
        )
        text = fits.signed(header, fits.word_sum(data)) + data + bytes(-len(data) % 2880)
        primary = fits.signed(astropy_fits.Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0)]), 0)
        with astropy_fits.open(io.BytesIO(primary + text), checksum=True) as hdus:
            assert hdus[1].data.astype(">i4").tobytes() == data
    assert not [w for w in recwarn if "hecksum" in str(w.message) or "atasum" in str(w.message)]
