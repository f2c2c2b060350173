"""Bitrix24 through an incoming webhook, classic REST (docs: apidocs.bitrix24.com, "How to call REST API")."""

from connectors.bitrix24.connector import Bitrix24
from connectors.bitrix24.options import Options

__all__ = ["Bitrix24", "Options"]
