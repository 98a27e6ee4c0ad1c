"""Where the arrays of the tests live, and the fixtures that put them there.

``pytest`` keeps them in NumPy; ``pytest --device emulated`` runs the CUDA sources and their launchers on this CPU, with
a stand-in for CuPy (``tests/emulated``); ``pytest --device 0`` runs them on that GPU. A test says nothing of it::

    def test_saturated_groups_stay(be, put, get):
        data = put(counts)  # a C-contiguous copy of a NumPy array, where this run keeps its arrays
        be.kernel("linearity").linearize_inplace(data, put(groupdq), put(coeffs))
        np.testing.assert_allclose(get(data), expected)  # back in NumPy, a copy

``device`` is the option's text; ``be`` a ``gpujw.backend.Backend`` (``be.xp``, ``be.kernel(stem)``). All fixtures are
of the session, so Hypothesis takes them too. ``with stays_on_device(reads=1):`` fails, on the emulated device, when its
body moves arrays between host and device or reads more than that many scalars back (``bool(x)``, ``x[mask]``,
``x[mask] = 0``); elsewhere it does nothing. Away from ``--device cpu`` only tests that use these fixtures run.

The program as a whole runs there too: ``PYTHONPATH=tests/emulated/standin gpujw detector1 --device 0 ...``.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# The first call of a kernel compiles it, here or in numba: no test has a deadline for it.
settings.register_profile("gpujw", deadline=None)
settings.load_profile("gpujw")

STANDIN = Path(__file__).parent / "emulated" / "standin"


def pytest_addoption(parser):
    parser.addoption(
        "--device",
        default="cpu",
        help="home of the arrays under test: cpu, emulated (CUDA sources on the CPU) or a number",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "emulated: runs the CUDA sources on the CPU, in processes of their own; slow")
    config.addinivalue_line("markers", "timeout(seconds): of pytest-timeout, where it is installed")
    device = config.getoption("device")
    if device == "emulated":
        shadow_cupy()
    elif device.isdigit():
        require_gpu(int(device))
    elif device != "cpu":
        raise pytest.UsageError(f"--device {device}: allowed are cpu, emulated, or the number of a GPU such as 0")


def pytest_collection_modifyitems(config, items):
    """Away from the CPU, keep the tests whose arrays follow ``--device``; the others would say the same again."""
    if config.getoption("device") == "cpu":
        return
    config.hook.pytest_deselected(items=[item for item in items if "device" not in item.fixturenames])
    items[:] = [item for item in items if "device" in item.fixturenames]


def shadow_cupy():
    """Put the stand-in where ``import cupy`` finds it first."""
    loaded = sys.modules.get("cupy")
    if loaded is not None and not Path(loaded.__file__).is_relative_to(STANDIN):
        raise pytest.UsageError(
            f"--device emulated: {loaded.__file__} was imported before the stand-in could shadow it"
        )
    sys.path.insert(0, str(STANDIN))


def require_gpu(number):
    from gpujw import backend

    found = backend.device_count()
    if number >= found:
        pytest.exit(
            f"--device {number}: CuPy finds {found} GPUs here (nvidia-smi lists those the driver sees); "
            "run the same tests without one: pytest --device emulated",
            returncode=pytest.ExitCode.USAGE_ERROR,
        )


@pytest.fixture(scope="session")
def device(request):
    return request.config.getoption("device")


@pytest.fixture(scope="session")
def be(device):
    from gpujw import backend

    return backend.open("0" if device == "emulated" else device)


@pytest.fixture(scope="session")
def put(be):
    if be.name == "cpu":
        return lambda array: np.array(array, order="C")
    return lambda array: be.xp.asarray(np.array(array, order="C"))


@pytest.fixture(scope="session")
def get(be):
    return np.array if be.name == "cpu" else be.xp.asnumpy


@pytest.fixture(scope="session")
def stays_on_device(device):
    @contextmanager
    def check(*, reads=0, downloads=0):
        if device != "emulated":
            yield
            return
        import cupy

        before = cupy.traffic.snapshot()
        yield
        moved = cupy.traffic.since(before)
        assert not moved.uploads, f"{moved.uploads} host arrays went to the device ({moved.upload_bytes} bytes)"
        assert moved.downloads <= downloads, f"{moved.downloads} device arrays came back ({moved.download_bytes} bytes)"
        assert moved.reads <= reads, f"{moved.reads} scalars read back, {reads} allowed: each one waits for the device"

    return check
