"""Stand-in for ``cupy.random``."""

from __future__ import annotations

import numpy as _numpy

from cupy._functions import mirror as _mirror

__getattr__ = _mirror("cupy.random", _numpy.random, globals())
