"""What can be said about a source of export files in [sources.NAME]."""

import codecs
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from connectors.errors import OptionError
from connectors.files.headings import fields_of

DELIMITERS = (";", ",", "\t")
RECORDS = ("leads", "deals", "support_requests")
CSAT_SCALES = {"1-5": 5, "0-10": 10, "percent": 100}  # scale -> where it ends


@dataclass(frozen=True, slots=True)
class Options:
    """Where the files are and, where their headings do not say it, what their columns mean."""

    path: str  # a file, a folder (every export in it) or a pattern such as exports/*.csv
    record: Literal["leads", "deals", "support_requests"] = "leads"
    columns: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)  # our field -> heading(s): the first filled one
    milestones: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)  # stage -> heading(s) of its date
    encoding: str | None = None  # None: UTF-8, UTF-16 by its mark, else cp1251
    delimiter: str | None = None  # None: whichever makes known headings of the first line
    date_order: Literal["dmy", "mdy"] = "dmy"  # 01.10.2026; year-first dates are always read
    branch: str | None = None  # of rows that name none
    currency: str = "RUB"  # of amounts that name none
    country: str = "7"  # calling code of phone numbers without one
    # Of support requests only:
    crm: str | None = None  # the source whose leads, deals and contacts they name; None: they name none, or by phone and e-mail
    csat_scale: Literal["1-5", "0-10", "percent"] | None = None  # of scores that do not name it
    bots: tuple[str, ...] = ()  # names under which bots close requests


def check_options(options: Options) -> None:
    """Raises OptionError for values no file could satisfy."""
    if not options.path.strip():
        raise OptionError("path is empty", hint="name an export file, a folder of them or a pattern such as exports/*.csv")
    _one_of("record", options.record, RECORDS)
    _one_of("date_order", options.date_order, ("dmy", "mdy"))
    for name in options.columns:
        _one_of("columns", name, tuple(fields_of(options.record)))
    for table, headings in (("columns", options.columns), ("milestones", options.milestones)):
        for name, wanted in headings.items():
            several = as_list(wanted) if isinstance(wanted, Sequence) else ()
            if not several or not all(isinstance(one, str) and one.strip() for one in several):
                raise OptionError(f"{table}.{name} must be a column heading or a list of headings")
    if options.delimiter is not None:
        _one_of("delimiter", options.delimiter, DELIMITERS)
    if options.encoding is not None:
        try:
            codecs.lookup(options.encoding)
        except LookupError:
            raise OptionError(
                f"encoding {options.encoding!r} does not exist", hint="utf-8, utf-16 and cp1251 are usual"
            ) from None
    if options.record != "support_requests" and (options.crm, options.csat_scale, options.bots) != (None, None, ()):
        hint = 'set record = "support_requests", or leave them out'
        raise OptionError("crm, csat_scale and bots are of support requests", hint=hint)
    if options.record == "support_requests" and options.milestones:
        raise OptionError("milestones: support requests have none", hint="leave them out")
    if options.csat_scale is not None:
        _one_of("csat_scale", options.csat_scale, tuple(CSAT_SCALES))
    if not (options.country.isascii() and options.country.isdigit()):
        raise OptionError("country must be a calling code in digits", hint='country = "7" for Russia and Kazakhstan')


def as_list(wanted: str | Sequence[str]) -> Sequence[str]:
    """One heading or several, always as a sequence."""
    return (wanted,) if isinstance(wanted, str) else wanted


def _one_of(option: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, 1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise OptionError(f"{option}: {value!r} is not known{guess}", hint="one of: " + ", ".join(repr(one) for one in allowed))
