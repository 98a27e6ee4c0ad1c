"""Every ``.cu`` compiles through NVRTC for every architecture, without warnings or spills; needs no GPU and no driver.

NVRTC comes from the wheel ``nvidia-cuda-nvrtc``, its binding from ``cuda-bindings``. The options are those of
``kernels/_load.py``, and CuPy's own ``-ftz=true``.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cuda.bindings import nvrtc

from gpujw.kernels import _load

KERNELS = Path(__file__).parents[1] / "kernels"
SOURCES = sorted(KERNELS.glob("*.cu"))
assert SOURCES, f"no kernels in {KERNELS}"
# Turing (the oldest that CUDA 13 knows), A100, RTX 30, RTX 40, H100, B200, RTX 50.
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
# Bytes of registers that do not fit and go to memory, a thread: none, where a kernel is not listed with its reason.
SPILLS: dict[str, int] = {}
USAGE = re.compile(
    r"function '(?P<name>\w+)' for.*?(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads", re.DOTALL
)


def compiled(path, architecture):
    """NVRTC's verdict and its log."""
    source = f'#line 1 "{path.name}"\n{path.read_text()}'.encode()
    _, program = nvrtc.nvrtcCreateProgram(source, path.name.encode(), 0, [], [])
    flags = [*_load.OPTIONS, "-ftz=true", f"-arch=sm_{architecture}", "--ptxas-options=-v"]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(flags), [flag.encode() for flag in flags])
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * size
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(program)
    return status == nvrtc.nvrtcResult.NVRTC_SUCCESS, log.decode().rstrip("\0 ")


@pytest.fixture(scope="session")
def pool():
    with ThreadPoolExecutor() as executor:
        yield executor


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_compiles(path, pool):
    verdicts = pool.map(lambda architecture: compiled(path, architecture), ARCHITECTURES)
    for architecture, (fine, log) in zip(ARCHITECTURES, verdicts, strict=True):
        assert fine, f"sm_{architecture}:\n{log}"
        assert "warning" not in log, f"sm_{architecture}:\n{log}"
        for use in USAGE.finditer(log):
            spilled = int(use["stores"]) + int(use["loads"])
            assert spilled <= SPILLS.get(use["name"], 0), f"sm_{architecture}: {use['name']} spills {spilled} bytes"


def test_errors_and_warnings_are_seen(tmp_path):
    wrong = tmp_path / "wrong.cu"
    wrong.write_text('extern "C" __global__ void f(float* x) { int unused = 1; x[0] = y; }')
    fine, log = compiled(wrong, 90)
    assert not fine
    assert "wrong.cu(1): error" in log
    wrong.write_text('extern "C" __global__ void f(float* x) { int unused = 1; x[0] = 2.0f; }')
    fine, log = compiled(wrong, 90)
    assert fine
    assert "wrong.cu(1): warning" in log
