"""The modes that can be simulated and their detectors, read from ``tables/simulate.toml``."""

from __future__ import annotations

import tomllib
import zlib
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

import numpy as np

from gpujw import irs2
from gpujw.errors import UsageError

TABLE: dict[str, Any] = tomllib.loads(files("gpujw.tables").joinpath("simulate.toml").read_text("utf-8"))
MODES: tuple[str, ...] = tuple(TABLE["mode"])


@dataclass(frozen=True)
class Detector:
    """One detector: its read-out axes and the mean properties of its pixels."""

    name: str
    instrument: str
    fast_axis: int
    slow_axis: int
    sca: int
    gain: float  # electrons per DN
    readnoise: float  # DN, one frame
    ktc: float  # DN
    bias: float  # DN, the pedestal
    well: float  # DN above the pedestal
    curvature: float  # 1/DN
    dark: float  # DN/s
    pixel_um: float
    snowballs: float = 0.0  # per second and full frame
    showers: float = 0.0
    module: str = ""
    channel: str = ""
    v2: float = 0.0
    v3: float = 0.0
    v3_angle: float = 0.0
    x_ref: float = 0.0
    y_ref: float = 0.0
    ideal_x: tuple[float, ...] = ()
    ideal_y: tuple[float, ...] = ()

    @property
    def miri(self) -> bool:
        """Whether this is a Si:As detector: four interleaved outputs, no superbias, reference columns only."""
        return self.instrument == "MIRI"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the full frame in the science orientation."""
        return (1024, 1032) if self.miri else (2048, 2048)

    def reference_pixels(self) -> np.ndarray:
        """[ny, nx] bool: 4 columns left and right, in the near infrared also 4 rows below and above."""
        mask = np.zeros(self.shape, bool)
        mask[:, :4] = mask[:, -4:] = True
        if not self.miri:
            mask[:4] = mask[-4:] = True
        return mask

    def rng(self, stream: str) -> np.random.Generator:
        """Random numbers that belong to this detector and not to an exposure."""
        return generator(zlib.crc32(f"{self.name} {stream}".encode()))


@dataclass(frozen=True)
class Mode:
    """One row of the table: what is observed, with which window and read pattern."""

    name: str
    detector: Detector
    observation: int
    exp_type: str
    aperture: str
    subarray: str
    start: tuple[int, int]  # SUBSTRT1, SUBSTRT2
    size: tuple[int, int]  # SUBSIZE1, SUBSIZE2
    readpatt: str
    nframes: int
    groupgap: int
    tframe: float
    noutputs: int
    nints: int
    ngroups: int
    scene: str
    background: float
    drift: float
    row_noise: float
    dark_margin: int
    filter: str = ""
    pupil: str = ""
    grating: str = ""
    fixed_slit: str = ""
    opmode: str = ""
    brightest: float = 0.0
    stars: float = 0.0
    target: float = 0.0
    cosmic_rays: float = 5.0  # per cm2 and second
    zero_frame: bool = False
    tso: bool = False
    ipc: bool = False
    reset_anomaly: float = 0.0
    pointing: dict[str, float] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns in the science orientation."""
        return self.size[1], self.size[0]

    @property
    def irs2(self) -> bool:
        """Whether pixels come down interleaved with reference samples (:mod:`gpujw.irs2`)."""
        return self.readpatt.startswith("NRSIRS2")

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows and columns of a frame as it comes down."""
        return (irs2.ROWS, irs2.PIXELS) if self.irs2 else self.shape

    @property
    def cut(self) -> tuple[slice, slice]:
        """The window in the full frame."""
        (x, y), (nx, ny) = self.start, self.size
        return slice(y - 1, y - 1 + ny), slice(x - 1, x - 1 + nx)

    @property
    def tgroup(self) -> float:
        """Seconds from group to group."""
        return (self.nframes + self.groupgap) * self.tframe

    @property
    def frames(self) -> int:
        """Frames from reset to the last read of an integration, dropped ones included."""
        return self.ngroups * (self.nframes + self.groupgap) - self.groupgap

    @property
    def read_steps(self) -> np.ndarray:
        """[ngroups * nframes] frames that pass before each read that is kept."""
        steps = np.ones((self.ngroups, self.nframes), np.int64)
        steps[1:, 0] += self.groupgap
        return steps.ravel()

    @property
    def imaging(self) -> bool:
        """Whether the scene lies on the sky through a known distortion."""
        return self.scene == "stars"

    def rng(self, seed: int, exposure: int) -> np.random.Generator:
        """Random numbers of one exposure; exposure 0 is the sky, which all exposures share."""
        return generator(zlib.crc32(self.name.encode()), seed, exposure)


def generator(*entropy: int) -> np.random.Generator:
    """A fast stream of random numbers, the same for the same integers."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy)))


def load(name: str, ngroups: int | None = None, nints: int | None = None) -> Mode:
    """The row ``name`` with its own or the requested number of groups and integrations.

    Raises
    ------
    UsageError
        The mode is unknown, or a number of groups or integrations is not positive.
    """
    if name not in MODES:
        raise UsageError(f"no mode {name!r} to simulate; there are {', '.join(MODES)}")
    row = _frozen(TABLE["mode"][name])
    detector = row.pop("detector")
    pointing = {key: row.pop(key) for key in ("v2", "v3", "v3_angle", "x_ref", "y_ref") if key in row}
    asked = {key: value for key, value in (("ngroups", ngroups), ("nints", nints)) if value is not None}
    if any(value < 1 for value in asked.values()):
        raise UsageError(f"{asked}: must be at least 1")
    return replace(Mode(name=name, detector=_detector(detector), pointing=pointing, **row), **asked)  # type: ignore[arg-type]


def _detector(name: str) -> Detector:
    return Detector(name=name, **_frozen(TABLE["detector"][name]))


def _frozen(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
