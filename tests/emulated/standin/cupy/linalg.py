"""Stand-in for ``cupy.linalg``."""

from __future__ import annotations

import numpy as _numpy

from cupy._functions import mirror as _mirror

__getattr__ = _mirror("cupy.linalg", _numpy.linalg, globals())
