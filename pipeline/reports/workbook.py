"""The report as one Excel workbook: figures as numbers, an ROI sheet that computes, every cell behind it, definitions."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from pipeline.reports import sheets
from pipeline.reports.beside_sheet import beside_sheets
from pipeline.reports.cells import Book
from pipeline.reports.days_sheet import days_sheet
from pipeline.reports.forecast_sheet import forecast_sheet
from pipeline.reports.page import page_of
from pipeline.reports.roi_sheet import roi_sheet

SMALL_CHECK = 100.0  # units of the currency


def render_workbook(document: Mapping[str, Any], language: str) -> bytes:
    """The document as XLSX: the same document, the same bytes."""
    page = page_of(document, language)
    book = Book(page.numbers, date.fromisoformat(document["as_of"][:10]), has_small_money=_has_small_money(document))
    sheets.summary(book, document, page)
    sheets.weekly(book, document, page)
    sheets.channels(book, document)
    sheets.costs(book, document)
    roi_sheet(book, document)
    beside_sheets(book, document, page)
    forecast_sheet(book, document, page)
    days_sheet(book, document)
    sheets.data(book, document)
    sheets.definitions(book, document, page)
    return book.to_bytes()


def _has_small_money(document: Mapping[str, Any]) -> bool:
    """Whether people pay so little that whole units of the currency would not tell one amount from another."""
    check = document["metrics"]["average_check"]
    values = [side["value"] for side in (check["pre"], check["post"]) if side and side["value"] is not None]
    return bool(values) and max(map(abs, values)) < SMALL_CHECK
