"""What goes wrong on a user's machine: one clear line, the right exit code, nothing half-written, the others done."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from astropy.io import fits

from gpujw.choose import SERVERLESS

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two small exposures and the cache that calibrates them."""
    from gpujw.simulate import simulate

    out = tmp_path_factory.mktemp("simulated")
    simulate("nircam-sub", out, count=2)
    return out


@pytest.fixture
def gpujw(folder):
    """Run the command line in a process of its own: exit code and what it said on stderr."""

    def run(*words, env=None):
        command = [sys.executable, "-m", "gpujw", *map(str, words)]
        environment = {**os.environ, "CRDS_PATH": str(folder / "crds"), "CRDS_SERVER_URL": SERVERLESS, **(env or {})}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
        return done.returncode, done.stderr

    return run


def good(folder, number=1):
    return next(folder.glob(f"*_{number:05d}_*_uncal.fits"))


def damaged(kind, source, target):
    """A copy of ``source`` that is wrong in one way."""
    if kind == "truncated":
        target.write_bytes(source.read_bytes()[:100_000])
    elif kind == "not FITS":
        target.write_text("a text\n" * 1000)
    elif kind == "empty":
        target.write_bytes(b"")
    elif kind == "absent":
        pass
    else:
        with fits.open(source) as hdus:
            if kind == "dtype":
                hdus["SCI"].data = hdus["SCI"].data.astype("f8")
            elif kind == "no SCI":
                del hdus["SCI"]
            elif kind == "keyword":
                del hdus[0].header["TGROUP"]
            elif kind == "mode":
                hdus[0].header["EXP_TYPE"] = "NRC_DARK"
            hdus.writeto(target)


@pytest.mark.parametrize(
    ("kind", "code", "told"),
    [
        ("truncated", 10, "truncated"),
        ("not FITS", 10, "not a FITS file"),
        ("empty", 10, "empty"),
        ("absent", 10, "no such file"),
        ("dtype", 10, "BITPIX"),
        ("no SCI", 10, "extension SCI is missing"),
        ("keyword", 10, "TGROUP"),
        ("mode", 30, "calwebb_dark"),
    ],
)
def test_bad_input_is_told_and_the_other_file_done(kind, code, told, folder, tmp_path, gpujw):
    bad = tmp_path / "bad_uncal.fits"
    damaged(kind, good(folder), bad)
    rc, said = gpujw("detector1", "--device", "cpu", "-o", tmp_path / "out", bad, good(folder, 2))
    lines = [line for line in said.splitlines() if "bad_uncal.fits" in line]
    assert rc == code, said
    assert len(lines) == 1 and told in lines[0], said
    assert "Traceback" not in said
    assert sorted(p.name.split("_")[-1] for p in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        "rate.fits",
        "rateints.fits",
    ]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--override", "gain=nowhere.fits"], 20, "nowhere.fits"),
        (["--override", "gain"], 2, "TYPE=FILE"),
        (["--device", "9"], 50, "no CUDA device 9"),
        (["-p", "jump.rejection=5"], 2, "no parameter 'rejection'"),
        (["-p", "persistence.skip=false"], 30, "persistence is not in this version"),
        (["--config", "nowhere.toml"], 2, "nowhere.toml"),
        (["--save", "jumps"], 30, "no such step"),
    ],
)
def test_bad_requests_are_told(words, code, told, folder, tmp_path, gpujw):
    device = [] if "--device" in words else ["--device", "cpu"]
    rc, said = gpujw("detector1", *device, "-o", tmp_path / "out", *words, good(folder))
    assert rc == code, said
    assert told in said and "Traceback" not in said
    assert not list(tmp_path.rglob("*.fits"))


def test_missing_reference_is_named(folder, tmp_path, gpujw):
    cache = tmp_path / "crds"
    shutil.copytree(folder / "crds", cache)
    (gain,) = cache.rglob("*_gain_*.fits")
    gain.unlink()
    rc, said = gpujw(
        "detector1", "--device", "cpu", "-o", tmp_path / "out", good(folder), env={"CRDS_PATH": str(cache)}
    )
    assert rc == 20, said
    assert gain.name in said and "--override gain=FILE" in said
    (tmp_path / "none").mkdir()
    rc, said = gpujw("detector1", "--device", "cpu", good(folder), env={"CRDS_PATH": str(tmp_path / "none")})
    assert rc == 20 and str(tmp_path / "none") in said, said


def test_damaged_reference_is_named(folder, tmp_path, gpujw):
    gain = tmp_path / "gain.fits"
    gain.write_bytes(b"SIMPLE  = no")
    rc, said = gpujw("detector1", "--device", "cpu", "-o", tmp_path / "out", "--override", f"gain={gain}", good(folder))
    assert rc == 20, said
    assert str(gain) in said and "Traceback" not in said


def test_folder_that_cannot_be_written(folder, tmp_path, gpujw):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    rc, said = gpujw("detector1", "--device", "cpu", "-o", blocked / "out", good(folder))
    assert rc == 60, said
    assert str(blocked) in said and "Traceback" not in said


def test_full_disk(folder, tmp_path, gpujw):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small RAM disk needs root; tests/test_writer.py injects the same fault")
    try:
        rc, said = gpujw("detector1", "--device", "cpu", "-o", disk, good(folder))
        assert rc == 60, said
        assert "disk full" in said and "Traceback" not in said
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)


def test_interrupt_leaves_nothing_half_written(folder, tmp_path):
    env = {**os.environ, "CRDS_PATH": str(folder / "crds"), "CRDS_SERVER_URL": SERVERLESS}
    many = tmp_path / "raw"
    many.mkdir()
    for i in range(200):
        os.link(good(folder), many / f"jw{i:011d}_02101_00001_nrcb1_uncal.fits")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "gpujw", "detector1", "--device", "cpu", "-o", str(out), str(many)]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and len(list(out.glob("*_rate.fits"))) < 2:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 70, said
    assert "Traceback" not in said
    assert not list(out.glob(".*"))
    for path in out.glob("*.fits"):
        with fits.open(path, checksum=True) as hdus:
            assert all(hdu.verify_checksum() == 1 for hdu in hdus)
