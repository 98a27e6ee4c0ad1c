"""The exposure as it comes from the archive: a Level-1b file with its keywords and tables of times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from stdatamodels.jwst.datamodels import Level1bModel

from gpujw import irs2
from gpujw.simulate import pointing
from gpujw.simulate.mode import TABLE

if TYPE_CHECKING:
    from pathlib import Path

    from gpujw.simulate.mode import Mode
    from gpujw.simulate.ramp import Exposure

SECOND = np.timedelta64(1_000_000_000, "ns")
OVERHEAD = 61.0  # seconds from the end of one exposure to the start of the next
MJD_ZERO = "1858-11-17T00:00:00"
GROUP_DAY_ZERO = "2000-01-01T00:00:00"


@dataclass(frozen=True)
class Clock:
    """Times of one exposure; every integration begins with a reset that takes one frame."""

    mode: Mode
    exposure: int

    @property
    def integration(self) -> float:
        """Seconds from reset to the last read."""
        return self.mode.frames * self.mode.tframe

    @property
    def duration(self) -> float:
        """Seconds from the start of the exposure to its end."""
        return self.mode.nints * (self.integration + self.mode.tframe)

    @property
    def start(self) -> np.datetime64:
        """UTC at the start."""
        delay = (self.exposure - 1) * (self.duration + OVERHEAD)
        start: np.datetime64 = _utc(TABLE["observation"]["start"]) + np.timedelta64(round(delay * 1e9), "ns")
        return start

    def at(self, seconds: np.ndarray | float) -> np.ndarray:
        """UTC some seconds after the start."""
        moments: np.ndarray = self.start + np.round(np.asarray(seconds) * 1e9).astype("timedelta64[ns]")
        return moments

    def integration_starts(self) -> np.ndarray:
        """[nint] seconds after the start at which each integration begins to collect."""
        starts: np.ndarray = np.arange(self.mode.nints) * (self.integration + self.mode.tframe) + self.mode.tframe
        return starts


def name(mode: Mode, exposure: int) -> str:
    """Root of the file names, as of flight."""
    visit = f"{TABLE['observation']['program']:05d}{mode.observation:03d}001"
    return f"jw{visit}_02101_{exposure:05d}_{mode.detector.name.lower()}"


def write(path: Path, mode: Mode, exposure: int, data: Exposure) -> None:
    """Writes the exposure, valid against the schema of stdatamodels, with checksums.

    Parameters
    ----------
    path
        Where to; its name should be ``name(mode, exposure)`` and ``_uncal.fits``.
    exposure
        Number of the exposure, from 1.
    """
    with Level1bModel(strict_validation=True) as model:
        for key, value in _metadata(mode, exposure).items():
            model[f"meta.{key}"] = value
        model.data = data.ramp
        if data.zeroframe is not None:
            model.zeroframe = data.zeroframe
        if mode.detector.miri:
            model.refout = _reference_output(mode, exposure)
        model.group = _group_table(mode, exposure, model.get_dtype("group"))
        model.int_times = _integration_table(mode, exposure, model.get_dtype("int_times"))
        model.save(path, checksum=True)


def _metadata(mode: Mode, exposure: int) -> dict[str, Any]:
    values = _observation(mode, exposure) | _instrument(mode) | _exposure(mode, exposure)
    values |= _subarray(mode) | _sky(mode, exposure)
    return {key: value for key, value in values.items() if value != ""}


def _observation(mode: Mode, exposure: int) -> dict[str, Any]:
    base, clock = TABLE["observation"], Clock(mode, exposure)
    program, observation = f"{base['program']:05d}", f"{mode.observation:03d}"
    begin, end = (str(moment)[:23] for moment in (clock.start, clock.at(clock.duration)))
    return {
        "telescope": "JWST",
        "origin": "STSCI",
        "time_sys": "UTC",
        "time_unit": "s",
        "program.title": "Simulated exposures with known truth",
        "program.pi_name": "gpujw",
        "program.category": "CAL",
        "observation.date": begin[:10],
        "observation.time": begin[11:],
        "observation.date_beg": begin,
        "observation.date_end": end,
        "observation.obs_id": f"V{program}{observation}001P0000000002101",
        "observation.visit_id": f"{program}{observation}001",
        "observation.program_number": program,
        "observation.observation_number": observation,
        "observation.visit_number": "001",
        "observation.visit_group": "02",
        "observation.sequence_id": "1",
        "observation.activity_id": "01",
        "observation.exposure_number": f"{exposure:05d}",
        "observation.bkgdtarg": False,
        "visit.type": "PRIME_TARGETED_FIXED",
        "visit.status": "SUCCESSFUL",
        "visit.start_time": begin,
        "visit.tsovisit": mode.tso,
        "visit.engdb_pointing_quality": "CALCULATED_TRACK_TR_202111",
        "target.catalog_name": "LMC-CALIBRATION",
        "target.proposer_name": "LMC-CALIBRATION",
        "target.type": "FIXED",
        "target.ra": base["ra"],
        "target.dec": base["dec"],
        "target.source_type_apt": "POINT" if mode.target or mode.tso else "EXTENDED",
    }


def _instrument(mode: Mode) -> dict[str, Any]:
    detector = mode.detector
    values: dict[str, Any] = {
        "instrument.name": detector.instrument,
        "instrument.detector": detector.name,
        "instrument.module": detector.module,
        "instrument.channel": detector.channel,
        "instrument.filter": mode.filter,
        "instrument.pupil": mode.pupil,
        "instrument.grating": mode.grating,
        "instrument.fixed_slit": mode.fixed_slit,
        "instrument.lamp_mode": mode.opmode,
    }
    if detector.instrument == "NIRSPEC":
        values |= {"instrument.gwa_xtilt": 0.3623, "instrument.gwa_ytilt": 0.1346, "instrument.gwa_tilt": 37.14}
        values |= {"instrument.lamp_state": "NO_LAMP", "instrument.msa_state": "CONFIGURED"}
    return values


def _exposure(mode: Mode, exposure: int) -> dict[str, Any]:
    clock = Clock(mode, exposure)
    start, middle, end = (float(_mjd(clock.at(part * clock.duration))) for part in (0, 0.5, 1))
    shift = TABLE["observation"]["barycentric"] / 86400
    used = mode.nints * mode.ngroups * mode.tgroup
    values = {
        "count": exposure,
        "prime_parallel": "PRIME",
        "type": mode.exp_type,
        "start_time": start,
        "mid_time": middle,
        "end_time": end,
        "start_time_mjd": start,
        "mid_time_mjd": middle,
        "end_time_mjd": end,
        "start_time_tdb": start + shift,
        "mid_time_tdb": middle + shift,
        "end_time_tdb": end + shift,
        "readpatt": mode.readpatt,
        "segment_number": 1,
        "segment_total": 1,
        "noutputs": mode.noutputs,
        "nints": mode.nints,
        "integration_start": 1,
        "integration_end": mode.nints,
        "ngroups": mode.ngroups,
        "nframes": mode.nframes,
        "frame_divisor": mode.nframes,
        "groupgap": mode.groupgap,
        "drop_frames1": 0,
        "drop_frames3": 0,
        "nsamples": 1,
        "sample_time": 10.0,
        "frame_time": mode.tframe,
        "group_time": mode.tgroup,
        "integration_time": mode.ngroups * mode.tgroup,
        "exposure_time": used,
        "effective_exposure_time": used,
        "measurement_time": mode.nints * max(mode.ngroups - 1, 1) * mode.tgroup,
        "duration": clock.duration,
        "elapsed_exposure_time": clock.duration,
        "nresets_at_start": 1,
        "nresets_between_ints": 1,
        "zero_frame": mode.zero_frame,
        "data_problem": False,
        "sca_num": mode.detector.sca,
    }
    if mode.irs2:
        values |= {"nrs_normal": irs2.NORMAL, "nrs_reference": irs2.REFERENCE}
    return {f"exposure.{key}": value for key, value in values.items()} | _barycentre(start, middle, end, shift)


def _barycentre(start: float, middle: float, end: float, shift: float) -> dict[str, Any]:
    values = {"correction": shift * 86400, "expstart": start + shift, "expmid": middle + shift, "expend": end + shift}
    frames = ("barycentric", "heliocentric")  # the two differ by less than the 4 s that the Sun moves
    return {f"time.{frame}_{key}": value for frame in frames for key, value in values.items()}


def _subarray(mode: Mode) -> dict[str, Any]:
    return {
        "subarray.name": mode.subarray,
        "subarray.xstart": mode.start[0],
        "subarray.ystart": mode.start[1],
        "subarray.xsize": mode.size[0],
        "subarray.ysize": mode.size[1],
        "subarray.fastaxis": mode.detector.fast_axis,
        "subarray.slowaxis": mode.detector.slow_axis,
        "aperture.name": mode.aperture,
        "aperture.pps_name": mode.aperture,
    }


def _sky(mode: Mode, exposure: int) -> dict[str, Any]:
    """Pointing, dither and the WCS of the aperture's reference point."""
    here, base = pointing.point(mode, exposure), TABLE["observation"]
    angle = np.radians(here.aperture_angle)
    sin, cos = float(np.sin(angle)), float(np.cos(angle))
    scale_x, scale_y = pointing.pixel_scale(mode)
    offset_x, offset_y = pointing.dither(mode, exposure)
    values = {
        "wcsaxes": 2,
        "crpix1": here.x_ref,
        "crpix2": here.y_ref,
        "crval1": here.ra,
        "crval2": here.dec,
        "ctype1": "RA---TAN",
        "ctype2": "DEC--TAN",
        "cunit1": "deg",
        "cunit2": "deg",
        "cdelt1": scale_x / 3600,
        "cdelt2": scale_y / 3600,
        "pc1_1": pointing.PARITY * cos,
        "pc1_2": sin,
        "pc2_1": -pointing.PARITY * sin,
        "pc2_2": cos,
        "v2_ref": here.v2,
        "v3_ref": here.v3,
        "vparity": pointing.PARITY,
        "v3yangle": here.v3_angle,
        "ra_ref": here.ra,
        "dec_ref": here.dec,
        "roll_ref": here.roll,
        "velosys": base["velosys"],
        "s_region": pointing.footprint(mode, here) if mode.imaging else "",
    }
    ra_v1, dec_v1, pa_v3 = pointing.boresight(here)
    return {f"wcsinfo.{key}": value for key, value in values.items()} | {
        "coordinates.reference_frame": "ICRS",
        "pointing.ra_v1": ra_v1,
        "pointing.dec_v1": dec_v1,
        "pointing.pa_v3": pa_v3,
        "aperture.position_angle": here.aperture_angle,
        "velocity_aberration.va_ra_ref": here.ra,
        "velocity_aberration.va_dec_ref": here.dec,
        "velocity_aberration.scale_factor": here.va_scale,
        "dither.primary_type": "NONE",
        "dither.position_number": exposure if mode.imaging else 1,
        "dither.pattern_start": 1,
        "dither.x_offset": float(offset_x * scale_x * pointing.PARITY),
        "dither.y_offset": float(offset_y * scale_y),
        "guidestar.gs_pcs_mode": "FINEGUIDE",
    }


def _reference_output(mode: Mode, exposure: int) -> np.ndarray:
    """[nint, ngroup, ny, nx / 4] counts of the output that sees no light."""
    random = mode.detector.rng(f"refout {mode.name} {exposure}")
    ny, nx = mode.shape
    counts = random.standard_normal((mode.nints, mode.ngroups, ny, nx // 4), np.float32)
    counts *= np.float32(mode.detector.readnoise)
    counts += np.float32(mode.detector.bias)
    return np.rint(counts).astype(np.uint16)


def _group_table(mode: Mode, exposure: int, dtype: np.dtype) -> np.ndarray:
    clock = Clock(mode, exposure)
    table = np.zeros(mode.nints * mode.ngroups, dtype)
    integration, group = np.divmod(np.arange(table.size), mode.ngroups)
    last_frame = (group + 1) * (mode.nframes + mode.groupgap) - mode.groupgap
    moments = clock.at(clock.integration_starts()[integration] + last_frame * mode.tframe)
    table["integration_number"], table["group_number"] = integration + 1, group + 1
    days, rest = np.divmod(moments - _utc(GROUP_DAY_ZERO), 86400 * SECOND)
    microseconds = rest // np.timedelta64(1000, "ns")
    table["end_day"] = days
    table["end_milliseconds"], table["end_submilliseconds"] = np.divmod(microseconds.astype(np.int64), 1000)
    table["group_end_time"] = np.datetime_as_string(moments, "us")
    table["number_of_columns"], table["number_of_rows"] = mode.size
    table["completion_code_text"] = "COMPLETE"
    table["bary_end_time"] = table["helio_end_time"] = _mjd(moments) + TABLE["observation"]["barycentric"] / 86400
    return table


def _integration_table(mode: Mode, exposure: int, dtype: np.dtype) -> np.ndarray:
    clock = Clock(mode, exposure)
    table = np.zeros(mode.nints, dtype)
    table["integration_number"] = np.arange(mode.nints) + 1
    for moment, part in (("start", 0.0), ("mid", 0.5), ("end", 1.0)):
        mjd = _mjd(clock.at(clock.integration_starts() + part * clock.integration))
        table[f"int_{moment}_MJD_UTC"] = mjd
        table[f"int_{moment}_BJD_TDB"] = mjd + TABLE["observation"]["barycentric"] / 86400
    return table


def _mjd(moments: np.ndarray) -> np.ndarray:
    days: np.ndarray = (moments - _utc(MJD_ZERO)) / (86400 * SECOND)
    return days


def _utc(text: str) -> np.datetime64:
    return np.datetime64(text, "ns")
