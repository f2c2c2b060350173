"""The files reader: exports of a CRM or a spreadsheet, in a file or a watched folder."""

from connectors.files.options import Options
from connectors.files.reader import Files

__all__ = ["Files", "Options"]
