"""Variants of one case: the first ones prove it in `make test`, the others run in `make test-all` and `make soak`."""

from collections.abc import Iterable
from typing import Any

import pytest


def first(n: int, cases: Iterable[Any]) -> list[Any]:
    """The cases for `parametrize`, those after the first `n` marked `thorough`; a tuple is the values of several names."""
    return [case if number < n else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.thorough)
            for number, case in enumerate(cases)]  # fmt: skip
