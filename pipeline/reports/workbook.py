"""The report as one Excel workbook: figures as numbers, an ROI sheet that computes, every cell behind it, definitions."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from pipeline.reports import sheets
from pipeline.reports.cells import Book
from pipeline.reports.forecast_sheet import forecast_sheet
from pipeline.reports.page import page_of
from pipeline.reports.roi_sheet import roi_sheet


def render_workbook(document: Mapping[str, Any], language: str) -> bytes:
    """The document as XLSX: the same document, the same bytes."""
    page = page_of(document, language)
    book = Book(page.numbers, date.fromisoformat(document["as_of"][:10]))
    sheets.summary(book, document, page)
    sheets.weekly(book, document, page)
    sheets.channels(book, document)
    sheets.costs(book, document)
    roi_sheet(book, document)
    forecast_sheet(book, document, page)
    sheets.data(book, document)
    sheets.definitions(book, document, page)
    return book.to_bytes()
