"""A small portal, and the few lines of client that the tests need (nothing of the connector they serve to prove)."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode

import requests

from connectors.demo import DemoPortal, Store, salon

TODAY = date(2026, 11, 16)


class Client:
    """Calls one portal and reads what comes back as it is."""

    def __init__(self, portal: DemoPortal) -> None:
        self.portal, self.url = portal, portal.webhook_url
        self.session = requests.Session()

    def post(self, method: str, params: dict[str, Any] | None = None, **options: Any) -> requests.Response:
        return self.session.post(self.url + method, json=params or {}, allow_redirects=False, timeout=20, **options)

    def call(self, method: str, **params: Any) -> Any:
        answer = self.post(method, params)
        assert answer.status_code == 200, answer.text[:300]
        return answer.json()

    def batch(self, commands: Any, halt: int = 0) -> Any:
        return self.call("batch", cmd=commands, halt=halt)["result"]

    def walk(self, method: str, key: str = "ID", **params: Any) -> list[dict[str, Any]]:
        """Every row by keyset paging."""
        rows: list[dict[str, Any]] = []
        while True:
            last = rows[-1][key] if rows else 0
            given = {"order": {key: "ASC"}, "start": -1} | params
            given["filter"] = params.get("filter", {}) | {f">{key}": last}
            result = self.call(method, **given)["result"]
            page = result["items"] if isinstance(result, dict) else result
            rows += page
            if len(page) < 50:
                return rows

    def side(self, path: str, document: Any = None) -> requests.Response:
        return self.session.post(self.portal.base_url + path, json=document, timeout=20)


def command(method: str, *pairs: tuple[str, Any]) -> str:
    """A batch command, its query encoded as the vendor's SDKs do."""
    return f"{method}?{urlencode(pairs)}"


def page_command(after: Any, *pairs: tuple[str, Any], method: str = "crm.lead.list") -> str:
    """One keyset page of a chain; `after` is an id or a `$result` reference."""
    keyset = (("order[ID]", "ASC"), ("filter[>ID]", after), ("start", -1))
    return command(method, *keyset, ("select[]", "ID"), *pairs)


def small_salon(**settings: Any) -> Store:
    return salon.build(**({"seed": 3, "today": TODAY, "weeks": 20, "weeks_after": 8, "leads_per_week": 25} | settings))
