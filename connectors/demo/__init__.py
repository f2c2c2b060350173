"""A local HTTP server that speaks Bitrix24's classic REST, filled with a business of known history."""

from __future__ import annotations

from . import bulk, salon
from .exchange import Costs
from .faults import ALWAYS, Fault
from .portal import DemoPortal, PortalOptions
from .slips import mistype
from .store import Store
from .truth import Outcome, Truth

__all__ = ["ALWAYS", "Costs", "DemoPortal", "Fault", "Outcome", "PortalOptions", "Store", "Truth", "bulk", "mistype", "salon"]
