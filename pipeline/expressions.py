"""Formulas of data files: numbers, names, + - * /, brackets, the functions of `formulas`. Read by `ast`, never run by Python.

One tree, three uses: over arrays of draws, as a formula of Excel, and as the list of names it needs.
"""

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import numpy as np

from pipeline.errors import ConfigError
from pipeline.formulas import FORMULAS
from pipeline.strict import nearest
from pipeline.weekly import FloatArray

LONGEST = 500  # characters; more than any formula one can check by eye
OR_ZERO = "or_zero"  # an input or line that may be missing, as 0 where it is
_SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_RANKS = {"+": 1, "-": 1, "*": 2, "/": 2}
NOT_GIVEN = "not_given"
_HINT = "numbers, names, + - * /, brackets and functions"


class Value(NamedTuple):
    """A figure over draws: not-a-number where it does not exist, and why."""

    numbers: FloatArray
    reason: str = ""

    @property
    def point(self) -> float | None:
        """The first draw; None where it does not exist."""
        first = float(self.numbers[0])
        return first if isfinite(first) else None


@dataclass(frozen=True, slots=True)
class Expression:
    """A formula that was checked: its text, its tree, the names in it."""

    text: str
    tree: ast.expr
    names: tuple[str, ...]

    def value(self, values: Mapping[str, Value]) -> Value:
        """Over the values of its names, arrays of one length."""
        with np.errstate(all="ignore"):
            return _value(self.tree, values)

    def excel(self, cells: Mapping[str, str], optional: Collection[str] = ()) -> str:
        """As a formula without its equals sign; `cells` are the references of the names, empty ones of `optional` are unknown."""
        return _excel(self.tree, {name: _known(cell) if name in optional else cell for name, cell in cells.items()}, cells)[0]


def parse(text: str, known: list[str] | tuple[str, ...], where: str) -> Expression:
    """An expression over the `known` names. Raises ConfigError naming the nearest name."""
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        raise ConfigError(f"{where}: expected a formula of at most {LONGEST} characters", hint='for example "leads * conversion"')
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        used: list[str] = []
        _check(tree, tuple(known), used, where)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConfigError(f"{where}: {text[:60]!r} is no formula", hint=_HINT) from None
    return Expression(text.strip(), tree, tuple(dict.fromkeys(used)))


def _check(tree: ast.expr, known: tuple[str, ...], used: list[str], where: str) -> None:
    match tree:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and abs(value) < 1e15:
            return
        case ast.Name(id=name):
            if name not in known:
                raise ConfigError(
                    f"{where}: unknown name {name!r}{nearest(name, known)}", hint="inputs and lines above it are known"
                )
            used.append(name)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _SIGNS:
            _check(left, known, used, where)
            _check(right, known, used, where)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            _check(operand, known, used, where)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            _check_call(name, arguments, where)
            for argument in arguments:
                _check(argument, known, used, where)
        case _:
            raise ConfigError(f"{where}: {ast.unparse(tree)[:60]!r} has no place in a formula", hint=_HINT)


def _check_call(name: str, arguments: list[ast.expr], where: str) -> None:
    if name == OR_ZERO:
        if len(arguments) != 1 or not isinstance(arguments[0], ast.Name):
            raise ConfigError(f"{where}: or_zero takes the name of one input or line", hint="for example or_zero(content_cost)")
        return
    if name not in FORMULAS:
        known = [*FORMULAS, OR_ZERO]
        raise ConfigError(f"{where}: unknown function {name!r}{nearest(name, known)}", hint=f"known: {', '.join(known)}")
    wanted = FORMULAS[name].arguments
    if len(arguments) != len(wanted):
        raise ConfigError(
            f"{where}: {name} takes {len(wanted)} arguments, not {len(arguments)}", hint=f"{name}({', '.join(wanted)})"
        )


def _value(tree: ast.expr, values: Mapping[str, Value]) -> Value:
    match tree:
        case ast.Constant(value=int() | float() as value):
            return Value(np.array([float(value)]))
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(operand=operand):
            found = _value(operand, values)
            return Value(-found.numbers, found.reason)
        case ast.BinOp(left=left, op=sign, right=right):
            return _combined(_SIGNS[type(sign)], _value(left, values), _value(right, values))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return call(name, *(_value(argument, values) for argument in arguments))
    raise AssertionError(tree)  # _check lets nothing else through


def _combined(sign: str, left: Value, right: Value) -> Value:
    a, b = left.numbers, right.numbers
    reason = left.reason or right.reason
    if sign == "/":
        reason = reason or ("division_by_zero" if np.any(b == 0) else "")
        return Value(a / np.where(b == 0, np.nan, b), reason)
    return Value(a + b if sign == "+" else a - b if sign == "-" else a * b, reason)


def call(name: str, *arguments: Value) -> Value:
    """A named formula over values; numbers of one draw are spread over the others."""
    if name == OR_ZERO:
        (only,) = arguments
        return Value(np.nan_to_num(only.numbers, nan=0.0))
    formula = FORMULAS[name]
    size = max(argument.numbers.size for argument in arguments)
    with np.errstate(all="ignore"):
        numbers = formula.compute(*(np.broadcast_to(argument.numbers, size).astype(np.float64) for argument in arguments))
    reason = next((argument.reason for argument in arguments if argument.reason), "")
    is_lacking = ~np.isfinite(numbers)
    return Value(np.where(is_lacking, np.nan, numbers), reason or (formula.reason if np.any(is_lacking) else ""))


def _known(cell: str) -> str:
    """Excel takes an empty cell for 0; what was not given makes the figures behind it unknown."""
    return f"IF(ISNUMBER({cell}),{cell},NA())"


def _excel(tree: ast.expr, cells: Mapping[str, str], raw: Mapping[str, str]) -> tuple[str, int]:
    """The formula and how tightly it binds; `raw` are the bare references."""
    match tree:
        case ast.Constant(value=int() | float() as value):
            return repr(value), 3
        case ast.Name(id=name):
            return cells[name], 3
        case ast.UnaryOp(operand=operand):
            return f"(-({_excel(operand, cells, raw)[0]}))", 3
        case ast.BinOp(left=left, op=op, right=right):
            sign = _SIGNS[type(op)]
            rank = _RANKS[sign]
            (first, tight), (second, tighter) = _excel(left, cells, raw), _excel(right, cells, raw)
            first = first if tight >= rank else f"({first})"
            second = second if tighter > rank or (tighter == rank and sign in "+*") else f"({second})"
            return f"{first}{sign}{second}", rank
        case ast.Call(func=ast.Name(id=name), args=arguments):
            if name == OR_ZERO:
                return f"N({_excel(arguments[0], raw, raw)[0]})", 3
            texts = [_excel(argument, cells, raw)[0] for argument in arguments]
            return f"({FORMULAS[name].excel.format(*texts)})", 3
    raise AssertionError(tree)
