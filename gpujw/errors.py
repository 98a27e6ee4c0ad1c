"""One exception a cause, each with the exit code of the command line."""

from __future__ import annotations


class GpujwError(Exception):
    """An error that is told to a person in one line."""

    code = 1


class UsageError(GpujwError):
    """The request itself is wrong: an unknown option, step or parameter."""

    code = 2


class InputError(GpujwError):
    """An exposure is absent, unreadable or lacks something."""

    code = 10


class ReferenceError(GpujwError):
    """A reference file is missing, unreadable or does not fit the exposure."""

    code = 20


class StepError(GpujwError):
    """A step cannot do what is asked of it."""

    code = 30


class HostMemoryError(GpujwError):
    """The host's memory does not suffice."""

    code = 40


class DeviceMemoryError(GpujwError):
    """The device's memory does not suffice."""

    code = 41


class DeviceError(GpujwError):
    """The device is absent or failed."""

    code = 50


class OutputError(GpujwError):
    """A product cannot be written."""

    code = 60


class Interrupted(GpujwError):  # noqa: N818  a state, not a fault
    """The run was stopped and can be resumed."""

    code = 70
