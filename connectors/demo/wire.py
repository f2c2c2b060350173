"""Requests as PHP reads them: addresses, bracket keys, JSON, form and multipart bodies (reference 1.1, 1.3)."""

from __future__ import annotations

import email.parser
import email.policy
import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

_ADDRESS = re.compile(r"/rest/(?:(\d+)/([^/]+)/)?([^/?]+?)(?:\.json)?/?")


def read_address(path: str) -> tuple[str, str, str] | None:
    """(user id, secret, method) of a REST path; user and secret are "" when the address has none."""
    match = _ADDRESS.fullmatch(path)
    return (match.group(1) or "", match.group(2) or "", match.group(3)) if match else None


def read_query(text: str, change: Callable[[str], str] | None = None) -> dict[str, Any]:
    """Parameters of a query string; `change` is applied to every decoded value."""
    pairs = [_read_pair(part) for part in text.split("&") if part]
    return _nest((path, change(value) if change else value) for path, value in pairs)


@lru_cache(4096)  # the commands of a batch differ in their cursor only
def _read_pair(part: str) -> tuple[tuple[str, ...], str]:
    key, _, value = part.partition("=")
    return _split_key(unquote_plus(key)), unquote_plus(value)


def read_body(content_type: str, body: bytes) -> dict[str, Any]:
    """Parameters of a POST body; {} for a body that cannot be read, as PHP leaves them empty."""
    kind = content_type.split(";")[0].strip().lower()
    if kind == "application/json":
        try:
            document = json.loads(body or b"{}")
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}
    if kind == "multipart/form-data":
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
            b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body
        )
        pairs = []
        for part in message.iter_parts():
            name, value = part.get_param("name", header="content-disposition"), part.get_content()
            pairs.append((_split_key(str(name)), value if isinstance(value, str) else value.decode()))
        return _nest(pairs)
    return read_query(body.decode("utf-8", "replace"))


def _nest(pairs: Iterable[tuple[tuple[str, ...], str]]) -> dict[str, Any]:
    """PHP bracket keys as nested maps and lists; keys such as `>ID` stay literal."""
    tree: dict[str, Any] = {}
    for (name, *inner), value in pairs:
        node, place = tree, name
        for step in inner:
            below = node.get(place)
            if not isinstance(below, dict):
                below = node[place] = {}
            node, place = below, step if step else str(len(below))
        node[place] = value
    return {key: _settle(value) for key, value in tree.items()}


def _split_key(key: str) -> tuple[str, ...]:
    name, bracket, rest = key.partition("[")
    return (name, *rest.removesuffix("]").split("][")) if bracket and key.endswith("]") else (key,)


def _settle(node: Any) -> Any:
    """Maps whose keys are exactly 0..n-1 are lists."""
    if not isinstance(node, dict):
        return node
    settled = {key: _settle(value) for key, value in node.items()}
    is_list = list(settled) == [str(place) for place in range(len(settled))]
    return list(settled.values()) if is_list else settled
