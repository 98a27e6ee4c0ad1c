"""Data-quality initialisation: the detector's known bad pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpujw.dq import DO_NOT_USE
from gpujw.errors import InputError
from gpujw.step import Step, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gpujw.exposure import Meta, Ramp
    from gpujw.references import Reference


@dataclass(frozen=True, kw_only=True)
class DQInit(Step):
    """Take over the flags of the mask, and those of ``user_supplied_dq``, a FITS file with an image of flags."""

    references: ClassVar[tuple[str, ...]] = ("mask",)
    status: ClassVar[str] = "S_DQINIT"

    user_supplied_dq: str | None = None

    @property
    def name(self) -> str:
        """The peer's name of the step."""
        return "dq_init"

    def prepare(self, refs: Mapping[str, Reference | None], meta: Meta) -> Tables:
        """The flags of the mask, OR-ed with the user's."""
        mask = refs["mask"]
        assert mask is not None
        flags = mask.dq()
        if self.user_supplied_dq is not None:
            flags = flags | user_flags(self.user_supplied_dq, flags.shape)
        return Tables(rows={"dq": flags})

    def __call__(self, ramp: Ramp, tables: Tables) -> Any:
        """Flags in ``pixeldq``; those of pixels not to be used in every group as well."""
        dq = tables["dq"]
        pixeldq, groupdq = ramp.pixeldq, ramp.groupdq
        pixeldq |= dq
        groupdq |= (dq & DO_NOT_USE).astype(np.uint8)
        return ramp


def user_flags(path: str, shape: tuple[int, ...]) -> NDArray[np.uint32]:
    """The first image of a FITS file as flags ``[ny, nx]``; InputError if it cannot be read or is not of ``shape``."""
    from astropy.io import fits

    try:
        flags = fits.getdata(path)
    except (OSError, IndexError, ValueError) as error:
        raise InputError(f"{path}: user_supplied_dq cannot be read: {error}") from error
    found = getattr(flags, "shape", ())
    if found != shape:
        raise InputError(f"{path}: user_supplied_dq is of shape {list(found)}; the exposure needs {list(shape)}")
    return np.asarray(flags).astype(np.uint32)
