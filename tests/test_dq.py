"""The bits are the field's, on the host and in the CUDA sources alike."""

from __future__ import annotations

import re
from pathlib import Path

from gpujw import dq


def test_bits_are_those_of_the_data_models():
    from stdatamodels.jwst.datamodels.dqflags import pixel

    same = {name: value for name, value in pixel.items() if name in dq.BITS}
    assert same == dq.BITS


def test_cuda_header_holds_the_same():
    text = (Path(__file__).parents[1] / "kernels" / "dq.cuh").read_text()
    found = {name: 1 << int(bit) for name, bit in re.findall(r"(\w+) = 1u << (\d+);", text)}
    assert found == {name: value for name, value in dq.BITS.items() if value}


def test_names():
    assert dq.names(5) == ("DO_NOT_USE", "JUMP_DET")
