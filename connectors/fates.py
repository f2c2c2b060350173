"""Rows asked for by key: what they are now, and what became of those that no list shows any more."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from connectors.contract import Answer, Connector, Fate, Page, Slice, Stream
from connectors.errors import PayloadError
from connectors.turns import Questions, Turn, check_ascending

_MANY_VANISHED, _VANISHED_SHARE = 20, 0.2  # more than this at once are rights that shrank, not deletions


def is_shrunk(n_vanished: int, n_known: int) -> bool:
    """Whether so many of the known rows vanished at once that we rather lost the right to see them."""
    return n_vanished >= _MANY_VANISHED and n_vanished > _VANISHED_SHARE * n_known


def ask_rows(connector: Connector, stream: Stream, keys: Sequence[int], came: Callable[[Page], list[Turn]]) -> Questions:
    """Asks for exactly these keys (ascending, a page at most); `came` gets the rows found, fewer when some are not shown.

    Settling raises PayloadError when the server ignores the filter.
    """
    call = connector.call(stream, Slice(keys=tuple(keys)))

    def answered(answers: Mapping[str, Answer]) -> list[Turn]:
        page = connector.page(stream, answers["rows"].body)
        check_ascending(call.method, stream.name, page.keys, keys[0] - 1, keys[-1])
        if not set(keys).issuperset(page.keys):
            raise PayloadError(
                f"{call.method} ({stream.name}): rows came that were not asked for",
                hint="the server ignores the filter; nothing of this answer was stored: report it with the method's name",
            )
        return came(page)

    return Questions(stream.name, {"rows": call}, answered)


def ask_fates(
    connector: Connector, stream: Stream, keys: Sequence[int], told: Callable[[Mapping[int, Fate]], list[Turn]]
) -> Questions:
    """Asks what became of each key; `told` gets the fates by key."""

    def answered(answers: Mapping[str, Answer]) -> list[Turn]:
        return told({key: connector.fate(stream, answers[str(key)]) for key in keys})

    def is_fate(answer: Answer) -> bool:
        with suppress(PayloadError):  # an error that says nothing of the row is judged by its verdict instead
            connector.fate(stream, answer)
            return True
        return False

    calls = {str(key): connector.confirm(stream, key) for key in keys}
    return Questions(stream.name, calls, answered, is_answer=is_fate)
