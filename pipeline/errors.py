"""What can go wrong in Payback, and the exit code of each class: one table for people, cron and tests.

A message says what happened and where, `hint` says what to do next; neither holds a payload value or a secret.
"""

from enum import IntEnum

from connectors.errors import AccessError, OptionError, PayloadError, SourceError, TemporaryError


class Exit(IntEnum):
    """What the process answers to its caller."""

    OK = 0
    UNEXPECTED = 1  # a fault of ours: worth a bug report
    CONFIG = 2  # config or command line is wrong
    ACCESS = 3  # a person must act at the source
    TEMPORARY = 4  # try again later
    PAYLOAD = 5  # the source answered something the reader does not understand
    WAREHOUSE = 6
    PARTIAL = 7  # done, except for some sources
    FINDINGS = 8  # `payback check` found errors
    NOTHING = 9  # nothing to measure yet


class PipelineError(Exception):
    """A foreseeable fault: shown to the user as its message and `hint`, without a traceback."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(PipelineError):
    """The configuration or the command line is wrong."""


class WarehouseError(PipelineError):
    """The warehouse cannot be used: locked, read-only, full disk, damaged, unreachable, of another version."""


class NoWarehouse(WarehouseError):
    """There is no warehouse at the configured place yet."""


class Interrupted(PipelineError):
    """The program was told to stop in the middle of a run."""


class Busy(PipelineError):
    """Another run is under way on this installation."""


class NothingToMeasure(PipelineError):
    """There is nothing to measure (yet): no leads, no pre period, a launch in the future."""


EXIT_CODES: dict[type[Exception], Exit] = {
    ConfigError: Exit.CONFIG,
    OptionError: Exit.CONFIG,
    AccessError: Exit.ACCESS,
    TemporaryError: Exit.TEMPORARY,
    PayloadError: Exit.PAYLOAD,
    WarehouseError: Exit.WAREHOUSE,
    NothingToMeasure: Exit.NOTHING,
    Interrupted: Exit.TEMPORARY,
    Busy: Exit.TEMPORARY,
    PipelineError: Exit.UNEXPECTED,
    SourceError: Exit.UNEXPECTED,
}


def exit_code(error: BaseException) -> Exit:
    """The exit code of an error: that of its nearest class in `EXIT_CODES`, else `UNEXPECTED`."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), Exit.UNEXPECTED)


def in_words(error: BaseException) -> str:
    """A line for people: what happened and what to do next; for what nobody foresaw also the name of its class."""
    if not isinstance(error, PipelineError | SourceError):
        return f"{type(error).__name__}: {error}"
    return f"{error} ({error.hint})" if error.hint else str(error)
