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
from pipeline.reports import programme
from pipeline.reports.html import render_html
from pipeline.reports.pdf import render_pdf
from pipeline.reports.terminal import render_terminal
from pipeline.reports.workbook import render_workbook

Writer = Callable[[Mapping[str, Any], str], str | bytes]


def render_json(document: Mapping[str, Any], language: str) -> bytes:
    """The document itself, canonical; the same in every language."""
    return document_bytes(document)


WRITERS: dict[str, Writer] = {
    "html": render_html, "terminal": render_terminal, "json": render_json, "xlsx": render_workbook, "pdf": render_pdf,
}  # fmt: skip

PROGRAMME_WRITERS: dict[str, Writer] = {
    "html": programme.render_html, "terminal": programme.render_terminal, "json": render_json, "xlsx": programme.render_workbook,
    "pdf": programme.render_pdf,
}  # fmt: skip


def render(document: Mapping[str, Any], kind: str, language: str) -> bytes:
    """The document as a file of a kind; texts are UTF-8. Raises KeyError for an unknown kind or language, ConfigError for a PDF
    without its engine. The accounting of a programme has writers of its own."""
    written = (PROGRAMME_WRITERS if "programme" in document else WRITERS)[kind](document, language)
    return written if isinstance(written, bytes) else written.encode("utf-8")


def write(document: Mapping[str, Any], kind: str, language: str, folder: Path) -> Path:
    """Write `<launch>.<kind>` into the folder and return its path; an old file stays until the new one is complete.

    Raises ConfigError when the folder cannot be written to, or its disk is full.
    """
    subject = document.get("programme") or document["launch"]
    name = re.sub(r"[^\w.-]", "_", subject["name"]).lstrip(".")  # a name in a config file is no path
    path = folder / f"{name}.{kind}"
    content = render(document, kind, language)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        half.write_bytes(content)
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
