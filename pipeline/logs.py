"""The log: one line an event, to stderr, as text or as JSON. No secret and no line break gets through, whatever a value holds.

What libraries log by the standard library comes out the same way. Nothing of structlog is loaded before the first event.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from connectors.secrets import Secret, mask

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
LONGEST = 2000  # characters of one value
_LEADING = ("timestamp", "level", "event")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/+-*%,@()")


class _Log:
    """`log.info("run_started", run_id=...)`: an event and its facts."""

    def __init__(self) -> None:
        self._logger: Any = None

    def configure(self, form: str | None = None, level: str | None = None, secrets: Iterable[Secret] = ()) -> None:
        """Say how from now on. The level is `info` by default, and `warning` when somebody watches at a terminal: there the
        progress bars and the summary say the same. May be called again, when the secrets are known."""
        import structlog

        number = getattr(logging, (level or ("warning" if sys.stderr.isatty() else "info")).upper())
        hidden = tuple(secrets)
        processors: list[Any] = [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            lambda _, __, event: {key: safe(value, hidden) for key, value in event.items()},
            _as_json if form == "json" else _as_text,
        ]
        bound = structlog.make_filtering_bound_logger(number)
        self._logger = structlog.wrap_logger(_Stderr(), processors, bound, cache_logger_on_first_use=False)
        root = logging.getLogger()
        for handler in [one for one in root.handlers if isinstance(one, _Carrier)]:
            root.removeHandler(handler)
        root.addHandler(_Carrier(self, number))
        logging.getLogger("payback").setLevel(number)

    def debug(self, event: str, **facts: Any) -> None:
        self._say("debug", event, facts)

    def info(self, event: str, **facts: Any) -> None:
        self._say("info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        self._say("warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        self._say("error", event, facts)

    def _say(self, level: str, event: str, facts: Mapping[str, Any]) -> None:
        if self._logger is not None:  # a library says nothing until it is asked to
            getattr(self._logger, level)(event, **facts)


class _Stderr:
    """Writes a line in one piece to what stderr is now; a closed pipe there must not end a run."""

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    debug = info = warning = error = msg


class _Carrier(logging.Handler):
    """Hands what the standard library's loggers say to ours: their own words, masked like everything."""

    def __init__(self, log: _Log, level: int) -> None:
        super().__init__(level)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower()
        say: Callable[..., None] = getattr(self._log, level if level in LEVELS else "error")
        is_ours = record.name.startswith("payback")
        try:
            say("said" if is_ours else "library_said", logger=record.name, message=record.getMessage())
        except Exception:
            self.handleError(record)


def safe(value: Any, secrets: Iterable[Secret] = ()) -> Any:
    """A value as it may stand in a log: without secrets, on one line, without control and direction marks, not too long."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = mask(value if isinstance(value, str) else str(value), secrets)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text)} characters)"
    return escaped(text)


def escaped(text: str) -> str:
    """Control characters, line breaks of all kinds, direction marks and lone surrogates as their escapes (`\\n`, `\\u202e`)."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def _ordered(event: MutableMapping[str, Any]) -> dict[str, Any]:
    leading = {key: event[key] for key in _LEADING if key in event}
    return {**leading, **{key: value for key, value in event.items() if key not in leading}}


def _as_json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return json.dumps(_ordered(event), ensure_ascii=False, default=str)


def _as_text(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    facts = _ordered(event)
    head = " ".join(str(facts.pop(key)) for key in _LEADING if key in facts)
    return " ".join([head, *(f"{key}={_quoted(value)}" for key, value in facts.items())])


def _quoted(value: Any) -> str:
    """A word as it is; anything else in quotes, so that no text can look like one more fact or one more event."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if text and _PLAIN.issuperset(text) else json.dumps(text, ensure_ascii=False)


log = _Log()
