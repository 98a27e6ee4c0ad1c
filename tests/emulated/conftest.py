"""These tests are of the emulator itself: they run where ``--device emulated`` is given, in every mode.

``tests/test_emulated.py`` gives it, in a process of its own, so that an ordinary run does not leave them out.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path, config):
    return None if config.getoption("device") == "emulated" else True


@pytest.fixture(autouse=True)
def emulated(device):
    assert device == "emulated"


@pytest.fixture(params=["forward", "reverse", "shuffled"])
def order(request, monkeypatch):
    import cupy

    monkeypatch.setattr(cupy.RawKernel, "order", request.param)
    return request.param


@pytest.fixture
def kernel():
    """kernel("moments") of examples.cu, kernel("past_the_end", "bugs.cu")."""
    import cupy

    from gpujw.kernels import _load

    def find(name, source="examples.cu"):
        path = HERE / source
        code = f'#line 1 "{path.name}"\n{path.read_text()}'
        return cupy.RawModule(code=code, options=_load.OPTIONS).get_function(name)

    return find
