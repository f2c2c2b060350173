"""An error the portal answers with."""

from __future__ import annotations

from typing import Any


class RestError(Exception):
    """HTTP status, `error` (string, number or empty: reference 1.5) and `error_description`."""

    def __init__(self, status: int, code: Any, description: str) -> None:
        super().__init__(description)
        self.status, self.code, self.description = status, code, description

    def body(self) -> dict[str, Any]:
        return {"error": self.code, "error_description": self.description}
