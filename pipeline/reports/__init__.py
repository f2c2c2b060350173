"""Reports: pure functions of a measurement's document. A new kind is one module and one line in `WRITERS`."""

import errno
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.document import document_bytes
from pipeline.errors import ConfigError
from pipeline.reports.html import render_html
from pipeline.reports.terminal import render_terminal

Writer = Callable[[Mapping[str, Any], str], str]


def render_json(document: Mapping[str, Any], language: str) -> str:
    """The document itself, canonical; the same in every language."""
    return document_bytes(document).decode("utf-8")


WRITERS: dict[str, Writer] = {"html": render_html, "terminal": render_terminal, "json": render_json}


def render(document: Mapping[str, Any], kind: str, language: str) -> str:
    """The document as text of a kind. Raises KeyError for an unknown kind or language."""
    return WRITERS[kind](document, language)


def write(document: Mapping[str, Any], kind: str, language: str, folder: Path) -> Path:
    """Write `<launch>.<kind>` into the folder and return its path; an old file stays until the new one is complete.

    Raises ConfigError when the folder cannot be written to, or its disk is full.
    """
    name = re.sub(r"[^\w.-]", "_", document["launch"]["name"]).lstrip(".")  # a name in a config file is no path
    path = folder / f"{name}.{kind}"
    text = render(document, kind, language)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        half.write_bytes(text.encode("utf-8"))
        half.replace(path)
    except OSError as error:
        with suppress(OSError):
            half.unlink()
        raise _unwritten(path, error) from None
    return path


def _unwritten(path: Path, error: OSError) -> ConfigError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ConfigError(
            f"the disk is full: the report was not written to {path}",
            hint="free some space there, or name another folder with --out; an earlier report is kept as it was",
        )
    return ConfigError(
        f"cannot write the report to {path} ({error.strerror or type(error).__name__})",
        hint="name a folder you may write to with --out",
    )
