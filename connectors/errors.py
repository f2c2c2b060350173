"""Errors, sorted by what the caller has to do. Messages carry no payload values and no secrets."""


from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.contract import SyncReport


class SourceError(Exception):
    """Something went wrong while reading a source. `what` and `where` are in the message, `hint` says what to do next.

    `report` is what the sync that it ended had done before, set by the engine.
    """

    report: "SyncReport | None" = None

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class TemporaryError(SourceError):
    """Try again later: network, overload, a server error that outlived its retries."""


class Unanswered(TemporaryError):
    """The request was sent, or may have been, and no answer came: whether it was carried out nobody knows."""


class AccessError(SourceError):
    """A person must act: dead webhook, missing scope, renamed portal, unpaid plan."""


class PayloadError(SourceError):
    """The answer is not what the reader understands: a server that ignores the filter, a changed format, a damaged file."""


class OptionError(SourceError):
    """The source is configured wrongly: an unknown custom field, a missing folder, an unmapped heading."""
