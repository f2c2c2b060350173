"""The account of what stands beside the money: support with its ROI, and the efficiency pool with its action windows."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from pipeline.reports import beside
from pipeline.reports.numbers import MINUS, Numbers
from pipeline.reports.words import plain
from pipeline.roi import MONTH_DAYS

Json = Any
ENDS = ("estimate", "low", "high")
SIDES = ("pre", "post")


def beside_lines(document: Mapping[str, Json], numbers: Numbers) -> Iterator[str]:
    """Markdown of both sections; nothing where the document has neither."""
    if document.get("support"):
        yield from _Support(document, numbers).lines()
    if document.get("efficiency"):
        yield from _Efficiency(document, numbers).lines()


class _Section:
    """What both sections have: weeks, and figures as division or rank."""

    def __init__(self, name: str, document: Mapping[str, Json], numbers: Numbers) -> None:
        self.document, self.numbers, self.say = document, numbers, numbers.words.say
        self.found = document[name]

    def _weeks(self, name: str) -> Iterator[str]:
        """The weeks of each side that count."""
        for side in SIDES:
            found = self.found[name][side]
            if not found["n"]:
                yield f"- {self.say(f'method.no_{side}')}"
                continue
            span = self.numbers.span(found["first"], date.fromisoformat(found["last"]) + timedelta(days=7))
            yield f"- {self.numbers.count(f'method.{side}', found['n'], span=span)}"

    def _sql(self, key: str) -> str:
        definition = self.found["definitions"][key]
        return f"- {self.say('explain.sql')} `payback sql {definition['sql'].removesuffix('.sql')}`"

    def _figure(self, figure: Mapping[str, Json]) -> Iterator[str]:
        """Both sides of a figure, and what changed: of a duration against before, else against what was expected."""
        for side in SIDES:
            yield from self._side(side, figure)
        for name, change in figure["changes"].items():
            yield from self._change(name, figure, change)

    def _side(self, side: str, figure: Mapping[str, Json]) -> Iterator[str]:
        found, word = figure[side], self.say(f"side.{side}")
        if figure["unit"] == "minutes":
            if found["n"]:
                told = {name: self._minutes(found[name]) for name in ("median", "p90")}
                told |= {name: self._sum(found[name]) for name in ("n", "n_open")}
                yield f"- {word}: {self.say('explain.beside.duration', **told)}"
            return
        sums = {"share": ("numerator", "denominator")}.get(figure["unit"], ("total", "n"))
        above, below = (found.get(name) for name in sums)
        if figure["unit"] == "requests":
            above, below = found["n"], self.found["weeks"][side]["n"]
            found = {"value": above / below if above is not None and below else None}
        if below and found["value"] is not None:
            yield f"- {word}: `{self._sum(above)} / {self._sum(below)} = {self._value(figure['unit'], found['value'])}`"

    def _change(self, name: str, figure: Mapping[str, Json], change: Mapping[str, float]) -> Iterator[str]:
        unit, observed, expected = figure["unit"], figure["post"][name], figure["expected"][name]
        title = self.say("column.change")
        if unit == "minutes":
            title = self.say(f"beside.{name}", metric=title)
        else:
            ends = self.numbers.interval(*(self._value(unit, observed - change[end]) for end in ("high", "low")))
            yield f"- {self.say('explain.expected', expected=self._value(unit, expected), range=ends)}"
        range_ = self.numbers.interval(*(self._value(unit, change[end]) for end in ("low", "high")))
        parts = f"{self._value(unit, observed)} {MINUS} {self._value(unit, expected)} = {self._value(unit, change['estimate'])}"
        yield f"- {title}: `{parts}`, {range_}"

    def _minutes(self, value: float | None) -> str:
        return self.say("beside.never") if value is None else self.say("unit.minutes", n=self._sum(value))

    def _value(self, unit: str, value: float) -> str:
        """Shares and an NPS in percent; four decimals, because some are multiplied below."""
        return self.numbers.percent(value, digits=4) if unit in ("share", "nps_each") else self.numbers.decimal(value, digits=4)

    def _sum(self, value: float) -> str:
        return self.numbers.whole(value) if float(value).is_integer() else self._money(value)

    def _money(self, value: float) -> str:
        return self.numbers.decimal(value, digits=2)


class _Support(_Section):
    """From the service to support ROI."""

    def __init__(self, document: Mapping[str, Json], numbers: Numbers) -> None:
        super().__init__("support", document, numbers)
        self.terms: Mapping[str, Json] = document["launch"].get("support") or {}

    def lines(self) -> Iterator[str]:
        """The section."""
        yield f"\n## {self.say('section.support')}\n\n{self.say('support.note.beside')}\n"
        yield from self._weeks("weeks")
        yield from self._retained()
        yield from self._automation()
        yield from self._result()
        for key, figure in self.found["metrics"].items():
            if key not in ("returned_revenue", "bot_share"):
                title = beside.title_of(self.numbers, self.found, key)
                yield from (f"\n### {title}\n", self._sql(key), *self._figure(figure))

    def _retained(self) -> Iterator[str]:
        """What a dialogue brings beyond what it brought, times the dialogues, times the margin."""
        say, retained = self.say, self.found["retained"]
        yield f"\n### {say('support.line.incremental')}\n"
        yield f"- {self.numbers.count('explain.support.returns', self.found['return_days'])}"
        yield from self._weeks("return_weeks")
        figure = self.found["metrics"].get("returned_revenue")
        if figure:
            yield from (self._sql("returned_revenue"), *self._figure(figure))
        if retained["incremental_revenue"] and figure:
            each, gained = figure["changes"]["value"], retained["incremental_revenue"]
            yield f"- {say('explain.support.dialogues')}"
            n = self._sum(retained["n_dialogues"])
            for end in ENDS:
                sums = f"{self._value('money_each', each[end])} × {n} = {self._money(gained[end])}"
                yield f"  - {say(f'explain.{end}')} `{sums}`"
        if retained["profit"]:
            margin = self.numbers.decimal(self.document["launch"]["margin"], digits=4)
            yield f"- {say('support.line.retained')}"
            for end in ENDS:
                sums = f"{self._money(retained['incremental_revenue'][end])} × {margin} = {self._money(retained['profit'][end])}"
                yield f"  - {say(f'explain.{end}')} `{sums}`"
        yield from self._missing(retained["missing"])

    def _automation(self) -> Iterator[str]:
        """Requests the bot closed beyond its share before, as hours and as money."""
        say, found, figure = self.say, self.found["automation"], self.found["metrics"].get("bot_share")
        yield f"\n### {say('support.line.automation')}\n"
        if figure:
            yield from (self._sql("bot_share"), *self._figure(figure))
        if figure and figure["post"]["denominator"]:
            share = self._value("share", figure["pre"]["value"] or 0.0)
            closed = f"{self._sum(found['n_closed'])} {MINUS} {share} × {self._sum(figure['post']['denominator'])}"
            yield f"- {say('explain.support.beyond')} `{closed} = {self._money(found['n_beyond'])}`"
        if found["hours"] is not None:
            minutes, hours = self._money(self.terms["minutes_per_request"]), self.numbers.decimal(found["hours"], digits=4)
            yield f"- {say('explain.support.hours')} `{self._money(found['n_beyond'])} × {minutes} / 60 = {hours}`"
            if found["saving"] is not None:
                rate = self._money(self.terms["hour_rate"])
                yield f"- {say('explain.support.saving')} `{hours} × {rate} = {self._money(found['saving'])}`"
                if not found["is_cash"]:
                    yield f"- {say('support.note.capacity')}"
        yield from self._missing(found["missing"])

    def _result(self) -> Iterator[str]:
        """Benefit, cost, net and ROI at the estimate, and at both ends where there is a range."""
        say, money = self.say, self.found["money"]
        yield f"\n### {say('support.line.roi')}\n"
        if money["cost"] is not None:
            yield f"- {say('support.line.cost')}: `{self._cost()} = {self._money(money['cost'])}`"
        if money["benefit"]:
            cost = None if money["cost"] is None else self._money(money["cost"])
            is_range = money["benefit"]["low"] < money["benefit"]["high"]
            for end in ENDS if is_range else ENDS[:1]:
                yield f"- {say(f'explain.{end}')}"
                benefit = self._money(money["benefit"][end])
                yield f"  - {say('money.benefit')}: `{' + '.join(self._parts(end))} = {benefit}`"
                if money["net"]:
                    net = self._money(money["net"][end])
                    yield f"  - {say('money.net')}: `{benefit} {MINUS} {cost} = {net}`"
                    if money["roi"]:
                        share = self.numbers.percent(money["roi"][end], digits=4)
                        yield f"  - {say('support.line.roi')}: `{net} / {cost} = {share}`"
        if money["missing"]:
            reason = say(f"support.missing.{money['missing']}")
            yield f"- {say('support.no_roi', reason=reason)}"
        if money["not_counted"]:
            parts = self.numbers.words.listed(say(f"support.part.{part}") for part in money["not_counted"])
            yield f"- {say('support.left_out', parts=parts)}"

    def _missing(self, code: str | None) -> Iterator[str]:
        if code:
            yield f"- {self.say('not_counted')}: {self.say(f'support.missing.{code}')}"

    def _parts(self, end: str) -> Iterator[str]:
        """What the benefit is the sum of."""
        if self.found["retained"]["profit"]:
            yield f"({self._money(self.found['retained']['profit'][end])})"
        if self.found["automation"]["is_cash"] and self.found["automation"]["saving"] is not None:
            yield f"({self._money(self.found['automation']['saving'])})"

    def _cost(self) -> str:
        """The cost lines that were given, over the weeks after the launch."""
        n_weeks, requests = self.found["weeks"]["post"]["n"], self.found["metrics"].get("requests")
        n_requests = requests["post"]["n"] if requests else None
        times = {
            "one_off": "1", "monthly": f"7 × {n_weeks} / {self.numbers.decimal(MONTH_DAYS, digits=4)}",
            "per_request": self._sum(n_requests or 0),
        }  # fmt: skip
        given = {name: self.terms.get(name) for name in times}
        return " + ".join(f"{self._money(amount)} × {times[name]}" for name, amount in given.items() if amount is not None)


class _Efficiency(_Section):
    """Every figure of the pool; of an action the window that decides which outcomes count."""

    def __init__(self, document: Mapping[str, Json], numbers: Numbers) -> None:
        super().__init__("efficiency", document, numbers)

    def lines(self) -> Iterator[str]:
        """The section."""
        yield f"\n## {self.say('section.efficiency')}\n\n{self.say('efficiency.told')} {self.say('explain.beside.rank')}\n"
        yield from self._weeks("weeks")
        if not self.found.get("has_history", True):
            yield f"- {self.say('efficiency.no_history')}"
        for key, figure in self.found["metrics"].items():
            yield f"\n### {unquoted(beside.title_of(self.numbers, self.found, key))}\n"
            yield f"- {self.say('column.answers')}: {unquoted(self.numbers.words.english(plain(figure['owner'])))}"
            yield self._sql("action_hit" if figure["action"] else key)
            if figure["action"]:
                yield from self._window(figure)
            yield from self._figure(figure)
            baseline = figure["baseline"]
            if baseline["from"] == "config":
                yield f"- {self.say('column.baseline')}: {beside.value(self.numbers, figure['unit'], baseline['value'])}"

    def _window(self, figure: Mapping[str, Json]) -> Iterator[str]:
        """Which moves are the action, which outcome counts up to which day, and which weeks are through."""
        action = self.document["launch"]["efficiency"]["actions"][figure["action"]]
        stages = self.numbers.words.listed(unquoted(plain(stage)) for stage in action["stages"])
        outcome = self.say(f"role.{action['outcome']}")
        days, next_day = (self.numbers.whole(n) for n in (figure["days"], figure["days"] + 1))
        yield f"- {self.say('explain.action', stages=stages, outcome=outcome, days=days, next=next_day)}"
        until = date.fromisoformat(self.document["known_on"]) - timedelta(days=figure["days"])
        yield f"- {self.say('explain.action.weeks', day=self.numbers.day(until))}"


def unquoted(text: str) -> str:
    """A name that cannot pass for arithmetic."""
    return text.replace("`", "'")
