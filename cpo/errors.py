"""Errors for people: what we got, what we wanted, what to do about it.

A mistake of the user's (a configuration, a dataset, a tensor from another tool) raises one of these where the value
is used; `assert` is kept for our own invariants. The scripts and the `cpo` command print them without a traceback.
"""

from __future__ import annotations


class CPOError(ValueError):
    """A mistake that a person can mend.

    Args:
        got: What was found, with the offending value spelt out.
        wanted: What would have been right, with the allowed values or range.
        remedy: The next thing to do; a command wherever there is one.

    Example:
        >>> print(ConfigError(got="beta=-1", wanted="beta > 0", remedy="pass loss.beta=0.1"))
        got:    beta=-1
        wanted: beta > 0
        remedy: pass loss.beta=0.1
    """

    def __init__(self, got: str, wanted: str, remedy: str) -> None:
        super().__init__(f"got:    {got}\nwanted: {wanted}\nremedy: {remedy}")
        self.got, self.wanted, self.remedy = got, wanted, remedy

    def __reduce__(self) -> tuple[type[CPOError], tuple[str, str, str]]:
        # the default would call the class with the one rendered message, and fail in worker processes
        return type(self), (self.got, self.wanted, self.remedy)


class ConfigError(CPOError):
    """A configuration that cannot be run: a knob out of range, a combination that makes no sense."""


class DataError(CPOError):
    """A dataset, file or record that is not what its format says."""


class ShapeError(CPOError):
    """Tensors or sequences whose sizes do not fit together."""


class PrivacyError(CPOError):
    """An action that would let credentialed data leave this machine."""
