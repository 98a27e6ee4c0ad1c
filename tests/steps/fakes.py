"""What steps are given, made up: references that were never files, keywords, and ramps of any shape."""

from pathlib import Path

import numpy as np

from gpujw.exposure import Meta, Ramp, Report
from gpujw.step import Tables

ARRAYS = ("data", "groupdq", "pixeldq", "zeroframe")


class FakeReference:
    """A reference by its arrays, which are cut already: the interface of ``gpujw.references.Reference``."""

    def __init__(self, arrays=None, dq=None, tables=None, header=None, path="made_up.fits"):
        self.arrays = arrays if isinstance(arrays, dict) else {} if arrays is None else {"SCI": arrays}
        self.flags = dq if isinstance(dq, dict) else {} if dq is None else {"DQ": dq}
        self.tables, self.header, self.path = tables or {}, header or {}, Path(path)
        self.name = self.path.name

    def __contains__(self, extension):
        return extension in self.arrays or extension in self.flags or extension in self.tables

    def image(self, extension="SCI"):
        return locked(self.arrays[extension], np.float32)

    uncut = image

    def planes(self, first, last, extension="SCI"):
        image = self.image(extension)
        return image.reshape(-1, *image.shape[-2:])[first:last]

    def shape(self, extension="SCI"):
        return np.shape(self.arrays[extension])

    def dq(self, extension="DQ"):
        if extension in self.flags:
            return locked(self.flags[extension], np.uint32)
        return locked(np.zeros(self.shape("SCI")[-2:]), np.uint32)

    def table(self, extension):
        return self.tables[extension]


def locked(array, dtype):
    """A copy that cannot be written to: the arrays of a reference are shared by all who ask."""
    copy = np.array(array, dtype, order="C")
    copy.flags.writeable = False
    return copy


def meta_of(**cards):
    """Keywords of a made-up exposure, NIRCam's by default."""
    usual = {
        "INSTRUME": "NIRCAM",
        "DETECTOR": "NRCA1",
        "EXP_TYPE": "NRC_IMAGE",
        "SUBARRAY": "FULL",
        "READPATT": "RAPID",
        "NFRAMES": 1,
        "FRMDIVSR": 1,
        "GROUPGAP": 0,
        "INTSTART": 1,
        "SUBSTRT1": 1,
        "SUBSTRT2": 1,
    }
    return Meta("made_up_uncal.fits", {**usual, **cards})


def ramp_of(data, meta, put=np.array, groupdq=None, pixeldq=None, zeroframe=None):
    """A ramp of all rows, its arrays copied to where ``put`` puts them."""
    nint, ngroup, ny, nx = data.shape
    groupdq = np.zeros(data.shape, np.uint8) if groupdq is None else groupdq
    pixeldq = np.zeros((ny, nx), np.uint32) if pixeldq is None else pixeldq
    frame = None if zeroframe is None else put(zeroframe.astype(np.float32))
    rows, columns = slice(0, ny), slice(0, nx)
    cards = {"NINTS": nint, "NGROUPS": ngroup, "SUBSIZE1": nx, "SUBSIZE2": ny, **meta.cards}
    meta = Meta(meta.path, cards)
    arrays = (put(data.astype(np.float32)), put(groupdq), put(pixeldq))
    return Ramp(*arrays, meta, rows, rows, columns, frame, report=Report())


def in_blocks(step, ramp, tables, size):
    """The ramp after ``step`` if it is applied to blocks of ``size`` rows with the step's halo, put together again."""
    ny = ramp.data.shape[2]
    halo = step.halo(ramp.meta)
    parts = []
    for first in range(0, ny, size):
        last = min(first + size, ny)
        rows = slice(max(0, first - halo), min(ny, last + halo))
        interior = slice(first - rows.start, last - rows.start)
        block = step(block_of(ramp, rows, interior), tables.cut(rows, slice(None)))
        parts.append({name: own_rows(getattr(block, name), interior) for name in ARRAYS})
    joined = {
        name: None if parts[0][name] is None else np.concatenate([part[name] for part in parts], axis=-2)
        for name in parts[0]
    }
    return ramp.replace(**joined)


def block_of(ramp, rows, interior):
    """Rows of a ramp of NumPy arrays, copied."""
    arrays = {
        name: None if getattr(ramp, name) is None else getattr(ramp, name)[..., rows, :].copy() for name in ARRAYS
    }
    return ramp.replace(rows=rows, interior=interior, **arrays)


def own_rows(array, interior):
    return None if array is None else array[..., interior, :]


def on_device(tables, put=np.array):
    """Tables as the runner hands them on: arrays of their own, where ``put`` puts them."""
    return Tables(
        *(
            {name: put(value) if isinstance(value, np.ndarray) else value for name, value in part.items()}
            for part in (tables.rows, tables.fixed)
        )
    )
