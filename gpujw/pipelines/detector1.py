"""Raw ramps to slopes (calwebb_detector1): the steps in the order of their application."""

from __future__ import annotations

from gpujw.steps.dark_current import DarkCurrent
from gpujw.steps.dq_init import DQInit
from gpujw.steps.gain_scale import GainScale
from gpujw.steps.group_scale import GroupScale
from gpujw.steps.ipc import IPC
from gpujw.steps.jump import Jump
from gpujw.steps.lastframe import LastFrame
from gpujw.steps.later import Later
from gpujw.steps.linearity import Linearity
from gpujw.steps.ramp_fit import RampFit
from gpujw.steps.refpix import RefPix
from gpujw.steps.reset import Reset
from gpujw.steps.rscd import RSCD
from gpujw.steps.saturation import Saturation
from gpujw.steps.superbias import SuperBias

TO_SLOPES = (
    Later(called="charge_migration", keyword="S_CHGMIG"),
    Jump(),
    Later(called="picture_frame", keyword="S_PCTFRM"),
    Later(called="clean_flicker_noise", keyword="S_CLNFNS"),
    Later(called="persistence", keyword="S_PERSIS"),
    RampFit(),
    GainScale(),
)
NEAR_IR = (
    GroupScale(),
    DQInit(),
    Saturation(),
    IPC(),
    SuperBias(),
    RefPix(),
    Linearity(),
    DarkCurrent(),
    *TO_SLOPES,
)
MIRI = (
    GroupScale(),
    DQInit(),
    Later(called="emicorr", keyword="S_MIREMI"),
    Saturation(),
    IPC(),
    Later(called="firstframe", keyword="S_FRSTFR"),
    LastFrame(),
    Reset(),
    Linearity(),
    RSCD(),
    DarkCurrent(),
    RefPix(),
    *TO_SLOPES,
)
#: By the instrument's family, as modes.py names it.
FAMILIES = {"near_ir": NEAR_IR, "miri": MIRI}
#: Every step of the pipeline, whichever family takes it.
STEP_NAMES = frozenset(step.name for family in FAMILIES.values() for step in family)
