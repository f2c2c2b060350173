"""Every figure of a measurement with its formula and its inputs, so that somebody else can compute it again by hand.

Text in Markdown, of the document alone. What stands between backticks is arithmetic with the figures of the document: its
right side is what the document says, never computed here, so whoever recomputes a line checks the figure. `=` holds up to
the rounding of what is printed, `≈` where a median of draws stands on the right (the median of a product is not quite the
product of medians).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.effects import DETECTABLE_HALF_WIDTHS, N_DRAWS
from pipeline.explain_beside import beside_lines, unquoted
from pipeline.explain_costs import name_of, named_parts, uncounted_lines
from pipeline.explain_forecast import forecast_lines
from pipeline.modes import CHECK, CONTROL, RATE, TOTAL
from pipeline.reports import doubts, evidence, sentences, tables
from pipeline.reports.naming import numbers_for
from pipeline.reports.numbers import MINUS, Numbers
from pipeline.reports.words import plain
from pipeline.roi import BREAK_EVEN_MONTHS, MONTH_DAYS

Json = Any
Written = Callable[[float], str]
# Columns of the weekly table: name -> (metric, column of its sums).
SERIES = {
    "leads": ("leads", "n"),
    "booked": ("booking_conversion", "numerator"),
    "visited": ("visit_conversion", "numerator"),
    "paid": ("revenue", "n"),
    "revenue": ("revenue", "total"),
    "squares": ("revenue", "total_sq"),
}
# Factor -> (numerator, denominator, metric whose SQL counts the numerator).
FACTORS = {
    "booking_rate": ("booked", "leads", "booking_conversion"),
    "visit_rate": ("visited", "leads", "visit_conversion"),
    "show_rate": ("visited", "booked", "visit_conversion"),
    "paid_rate": ("paid", "visited", "revenue"),
    "average_check": ("revenue", "paid", "revenue"),
}
MODES = (TOTAL, CONTROL, RATE, CHECK)


def explain(document: Mapping[str, Json], language: str = "en") -> str:
    """The whole account as Markdown. Raises KeyError for a language without a catalogue."""
    account = _Account(document, numbers_for(document, language))
    lines = [*account.windows(), *account.weeks()]
    if document["claims"]:
        lines += [*account.model()]
        for name in sorted(document["claims"], key=lambda name: name != document["claim"]):
            lines += [*account.claim(name), *account.money(name)]
        lines += [*forecast_lines(document, account.numbers)]
    lines += [*account.verdict(), *account.trust(), *account.reservations(), *beside_lines(document, account.numbers)]
    return "\n".join(lines) + "\n"


class _Account:
    """The account of one document in one language, section by section."""

    def __init__(self, document: Mapping[str, Json], numbers: Numbers) -> None:
        self.document, self.numbers, self.say = document, numbers, numbers.words.say

    def windows(self) -> Iterator[str]:
        """What is measured, from when to when, and how to repeat it."""
        document, numbers, say = self.document, self.numbers, self.say
        yield f"# {say('explain.title', launch=unquoted(plain(document['launch']['title'])))}"
        yield f"\n{say('explain.intro', currency=plain(document['currency']))}\n"
        yield f"## {say('explain.windows')}\n"
        yield f"- {say('fact.started', day=numbers.day(document['launch']['started_on']))}"
        for side in ("pre", "washout", "post"):
            found = document["periods"][side]
            span = {"span": numbers.span(found["start"], found["end"])} if found["n_weeks"] else {}
            yield f"- {numbers.count(f'method.{side}', found['n_weeks'], **span) if span else say(f'method.no_{side}')}"
        if document["periods"]["left_out"]:
            weeks = ", ".join(numbers.day(week["week"]) for week in document["periods"]["left_out"])
            yield f"- {numbers.count('method.left_out', len(document['periods']['left_out']), weeks=weeks)}"
        yield f"- {sentences.horizon(numbers, document)}"
        mature = {"days": numbers.whole(document["horizon"]["days"]), "day": numbers.day(document["known_on"])}
        yield f"- {say('explain.mature', **mature)}"
        launch = unquoted(plain(document["launch"]["name"]))
        yield f"- {say('explain.repeat')} `payback measure {launch} --as-of {document['as_of']} --json`"
        found = document["provenance"]
        hashes = {name: plain(found[name]) for name in ("config_hash", "sql_hash", "code_version")}
        yield f"- {say('explain.provenance', **hashes, seen_until=document['seen_until'])}"

    def weeks(self) -> Iterator[str]:
        """The weekly sums that everything below is computed from, and what they come to on each side."""
        document, say = self.document, self.say
        yield f"\n## {say('explain.weeks')}\n"
        names = [name for name, (metric, _) in SERIES.items() if metric in document["metrics"]]
        yield say("explain.weeks.note")
        queries = sorted({SERIES[name][0] for name in names})
        yield "\n" + " ".join(f"`payback sql {self._sql(metric)}`" for metric in queries) + "\n"
        columns = [document["metrics"][metric]["per_week"][column] for metric, column in (SERIES[name] for name in names)]
        titles = [say(f"explain.{name}") for name in names]
        if (document.get("control") or {}).get("per_week"):
            columns, titles = [*columns, document["control"]["per_week"]], [*titles, say("section.control")]
        yield "| " + " | ".join((say("column.week"), say("column.side"), *titles)) + " |"
        yield "|" + "---|" * (len(titles) + 2)
        for n, row in enumerate(document["weekly"]):
            cells = (self._sum(column[n]) for column in columns)
            yield "| " + " | ".join((row["week"], say(f"side.{row['side']}"), *cells)) + " |"
        for side in ("pre", "post"):
            sums = [self._sum(self._summed(column, side)) for column in columns]
            yield f"| **{say('explain.sum')}** | **{say(f'side.{side}')}** | " + " | ".join(f"**{text}**" for text in sums) + " |"

    def model(self) -> Iterator[str]:
        """How an expectation comes about, with the prior scales of each kind of series."""
        say = self.say
        yield f"\n## {say('explain.model')}\n"
        yield say("explain.model.text", draws=self.numbers.whole(N_DRAWS))
        headings = ("mode", "temper", "weight", "omega", "kappa", "slope", "season")
        yield "\n| " + " | ".join(say(f"explain.prior.{name}") for name in headings) + " |"
        yield "|" + "---|" * len(headings)
        for row in self.document.get("priors") or self._priors():
            scales = (self._decimal(row[name], digits=3) for name in headings[2:])
            mode = say(f"explain.mode.{row['mode']}")
            yield f"| {mode} | {row['temper']} | " + " | ".join(scales) + " |"
        yield f"\n{say('explain.model.after')}"

    def claim(self, name: str) -> Iterator[str]:
        """One claim: its factors, its visits, its revenue and profit."""
        claim, say = self.document["claims"][name], self.say
        n_weeks = claim["visits"]["n_post_weeks"]
        yield f"\n## {say(f'claim.{name}.title')}\n"
        yield f"{say(f'claim.{name}.question')} {self.numbers.count('explain.window', n_weeks)}"
        for factor in claim["factors"]:
            yield from self._factor(factor, claim)
        expected = [self._written(factor)(effect["counterfactual"]) for factor, effect in claim["factors"].items()
                    if effect and factor not in ("paid_rate", "average_check")]  # fmt: skip
        leads = [] if "leads" in claim["factors"] else [self._sum(self._series("leads", "post", n_weeks))]
        yield f"\n### {say('explain.visits')}\n"
        product, median = " × ".join([*leads, *expected]), self._decimal(claim["visits"]["counterfactual"])
        yield f"- {say('explain.expected_product')} `{product} ≈ {median}`"
        yield from self._effect(claim["visits"], self._decimal)
        for amount in ("revenue", "profit"):
            if claim[amount]:
                yield f"\n### {say(f'money.incremental_{amount}')}\n"
                if amount == "profit":
                    share = self._decimal(claim["money"]["margin"], digits=4)
                    for end in ("estimate", "low", "high"):
                        sums = (self._money(claim[of][end]) for of in ("revenue", "profit"))
                        yield f"- {say(f'explain.{end}')} `{f' × {share} = '.join(sums)}`"
                else:
                    yield from self._effect(claim[amount], self._money)

    def money(self, name: str) -> Iterator[str]:
        """From the claim's profit to ROI, payback and NPV."""
        money, say = self.document["claims"][name]["money"], self.say
        if money["benefit"] is None and money["cost"] is None:
            return
        yield f"\n### {say('explain.money', claim=say(f'claim.{name}.title'))}\n"
        months = self._decimal(money["window_months"], digits=6)
        yield f"- {say('explain.months')} `{money['window_days']:g} / {self._decimal(MONTH_DAYS, digits=4)} = {months}`"
        yield from self._costs(money, name, months)
        if money["benefit"] is None:
            return
        benefit = self._money(money["benefit"]["estimate"])
        parts = [self._money(money["incremental_profit"]["estimate"])] if money["incremental_profit"] else []
        parts += [self._money(money["saved_hours"])] if money["is_saved_cash"] and money["saved_hours"] is not None else []
        yield f"- {say('money.benefit')}: `{' + '.join(parts)} = {benefit}`"
        yield f"- {say('explain.benefit_month')} `{benefit} / {months} = {self._money(money['monthly_benefit']['estimate'])}`"
        if name == self.document["claim"]:
            yield from self._contributions()
        if money["cost"] is None:
            return
        net, cost = self._money(money["net"]["estimate"]), self._money(money["cost"])
        yield f"- {say('money.net')}: `{benefit} {MINUS} {cost} = {net}`"
        if money["roi"]:
            yield f"- {say('money.roi')}: `{net} / {cost} = {self._share(money['roi']['estimate'])}`"
        yield from self._returns(money, self.document["claims"][name]["profit"])

    def verdict(self) -> Iterator[str]:
        """The rules in the order they are tried, with the figures that decided."""
        document, say = self.document, self.say
        reached, reason = document["verdict"], document["verdict"]["reason"]
        word = say(f"verdict.{reached['code']}")
        yield f"\n## {say('explain.verdict')}\n\n**{word}.** {sentences.reason(self.numbers, reason)}\n"
        figures = reason["figures"]
        if figures.get("low") is None or figures.get("high") is None:
            return
        yield f"{say('explain.verdict.interval')}\n"
        low, high, threshold = figures["low"], figures["high"], figures.get("break_even")
        rules: list[tuple[str, float, str, float | None]] = [
            ("harms", high, "<", 0.0), ("pays", low, ">", threshold), ("does_not_pay", high, "<", threshold),
            ("works_payback_unproven", low, ">", 0.0),
        ]  # fmt: skip
        for code, end, sign, bound in rules:
            if bound is None:
                continue
            holds = end < bound if sign == "<" else end > max(bound, 0.0)
            bound = max(bound, 0.0) if code == "pays" else bound
            told = say("explain.holds" if holds else "explain.fails")
            yield f"- {say(f'verdict.{code}')}: `{self._money(end)} {sign} {self._money(bound)}` {told}"
            if holds:
                break

    def trust(self) -> Iterator[str]:
        """The score, finding by finding."""
        say, trust = self.say, self.document["trust"]
        yield f"\n## {say('section.trust')}\n\n{say('explain.trust')}\n"
        lost = [found for found in trust["findings"] if found["points"]]
        for found in lost:
            text, share = sentences.finding(self.numbers, found), found["detail"].get("share")
            points = self._decimal(found["points"])
            if share:
                weight = self._decimal(found["points"] / share, digits=0)
                yield f"- {text} `{self._share(share)} × {weight} = {points}` (`payback sql checks/{plain(found['code'])}`)"
            else:
                yield f"- {text} {points}"
        together = sum(found["points"] for found in lost)
        if len(lost) > 1:
            sums = " + ".join(self._decimal(found["points"]) for found in lost)
            yield f"- {say('explain.sum')}: `{sums} = {self._decimal(together)}`"
        if together < 100:
            yield f"- {say('explain.rounded')} `100 {MINUS} {self.numbers.whole(100 - trust['score'])} = {trust['score']}`"
        else:
            yield f"- {say('trust.score', score=self.numbers.whole(trust['score']))}"

    def reservations(self) -> Iterator[str]:
        """Rung, guards, control, weekly looks, power and placebo in the words of the report."""
        document, numbers, say = self.document, self.numbers, self.say
        yield f"\n## {say('explain.reservations')}\n"
        yield f"- {say('method.rung', code=document['rung']['code'])}"
        yield from (f"- {sentences.reason(numbers, reason)}" for reason in document["rung"]["reasons"])
        yield from (f"- {numbers.words.beside(guard.text, guard.consequence)}" for guard in doubts.guards(numbers, document))
        if document.get("looks"):
            level = numbers.percent(1 - document["looks"]["level"], digits=0)
            yield f"- {say('explain.looks', level=level, n=numbers.whole(document['looks']['n_looks']))}"
        waiting = doubts.waiting(numbers, document)
        if waiting:
            yield from (f"- {line.title}: {line.value}" for line in waiting.lines)
            yield from (f"- {sentence}" for sentence in waiting.told)
        for found in (evidence.placebo(numbers, document), evidence.control(numbers, document)):
            if found:
                yield f"- {found.told}"

    def _factor(self, name: str, claim: Mapping[str, Json]) -> Iterator[str]:
        """One factor of a claim: both sides as division, expectation, effect."""
        say, written, effect = self.say, self._written(name), claim["factors"][name]
        yield f"\n### {say(f'factor.{name}')}\n"
        if name == "leads":
            yield f"- {say('explain.sql')} `payback sql {self._sql('leads')}`"
        else:
            numerator, denominator, metric = FACTORS[name]
            if name == "average_check" and "paid_rate" not in claim["factors"]:
                denominator = "visited"
            formula = {"numerator": say(f"explain.{numerator}"), "denominator": say(f"explain.{denominator}")}
            yield f"- {say('explain.formula', **formula)} `payback sql {self._sql(metric)}`"
            n_weeks = claim["visits"]["n_post_weeks"]
            for side in ("pre", "post"):
                above, below = (self._series(column, side, n_weeks) for column in (numerator, denominator))
                if below:
                    value = effect["observed"] if effect and side == "post" else above / below
                    yield f"- {say(f'side.{side}')}: `{self._sum(above)} / {self._sum(below)} = {written(value)}`"
        if effect is None:
            yield f"- {say('explain.unreached')}"
            return
        yield from self._effect(effect, written)

    def _effect(self, effect: Mapping[str, Json], written: Written) -> Iterator[str]:
        """Observed less expected, with the range of both, the relative effect and what could have been detected."""
        say = self.say
        observed, expected = written(effect["observed"]), written(effect["counterfactual"])
        ends = self.numbers.interval(written(effect["observed"] - effect["high"]), written(effect["observed"] - effect["low"]))
        yield f"- {say('explain.expected', expected=expected, range=ends)}"
        range_ = self.numbers.interval(written(effect["low"]), written(effect["high"]))
        yield f"- {say('column.effect')}: `{observed} {MINUS} {expected} = {written(effect['estimate'])}`, {range_}"
        if effect["relative"]:
            relative = self._share(effect["relative"]["estimate"])
            yield f"- {say('explain.relative')} `{observed} / {expected} {MINUS} 1 = {relative}`"
        if effect["null"] and effect["detectable"] is not None:
            low, high = (self._share(effect["null"][end]) for end in ("low", "high"))
            factor = self._decimal(DETECTABLE_HALF_WIDTHS)
            yield f"- {say('explain.detectable')} `{factor} × ({high} {MINUS} ({low})) / 2 = {self._share(effect['detectable'])}`"
        if effect.get("widening") and effect["widening"] > 1:
            yield f"- {say('explain.widening', factor=self._decimal(effect['widening']))}"
        if effect.get("past"):
            past = effect["past"]
            told = {"evidence": ", ".join(self._decimal(value, digits=3) for value in past["evidence"])}
            yield f"- {say('explain.past', **told, squares=self._decimal(past['squares']), n=self._decimal(past['n']))}"

    def _costs(self, money: Mapping[str, Json], name: str, months: str) -> Iterator[str]:
        """The cost lines that were given, once and a month, and what they come to over the window."""
        if money["cost"] is None:
            yield f"- {self.say('money.cost')}: {self.say('missing.cost_not_given')}"
            return
        say, costs = self.say, self.document["launch"]["costs"]
        rate = None if costs["hour_rate"] is None else self._money(costs["hour_rate"])
        leads = self._sum(self._series("leads", "post", self.document["claims"][name]["visits"]["n_post_weeks"]))
        once = [self._money(costs["one_off"])] if costs["one_off"] is not None else []
        monthly = [self._money(costs["monthly"])] if costs["monthly"] is not None else []
        if costs["usage_per_lead"] is not None:
            monthly.append(f"{self._money(costs['usage_per_lead'])} × {leads} / {months}")
        for hours, parts in (("staff_hours_one_off", once), ("staff_hours_monthly", monthly)):
            if costs[hours] is not None and rate is not None:
                parts.append(f"{self._decimal(costs[hours])} × {rate}")
        for part, parts in (("once", once), ("monthly", monthly), ("per_lead", monthly)):
            parts += named_parts(self.document, self.numbers, part, money, f"{leads} / {months}")
        for title, parts, total in (("cost.one_off", once, "one_off_cost"), ("cost.monthly", monthly, "monthly_cost")):
            yield f"- {say(title)}: `{' + '.join(parts) or 0} = {self._money(money[total])}`"
        parts_ = f"{self._money(money['one_off_cost'])} + {self._money(money['monthly_cost'])} × {months}"
        yield f"- {say('money.cost')}: `{parts_} = {self._money(money['cost'])}`"
        if money["not_counted"]:
            known = [name_of(self.document, self.numbers, code) for code in money["not_counted"]]
            yield f"- {say('not_counted')}: {', '.join(word for word in known if word)}"
        if name == self.document["claim"] and self.document.get("uncounted"):
            yield from uncounted_lines(self.document, self.numbers, months)

    def _returns(self, money: Mapping[str, Json], profit: Mapping[str, Json] | None) -> Iterator[str]:
        """Payback, break-even and NPV from the month's benefit and cost."""
        say = self.say
        once, monthly = self._money(money["one_off_cost"]), self._money(money["monthly_cost"])
        benefit = self._money(money["monthly_benefit"]["estimate"])
        payback = money["payback_months"]
        if payback and payback["estimate"]:
            median = self._decimal(payback["estimate"], digits=4)
            yield f"- {say('explain.payback')} `{once} / ({benefit} {MINUS} {monthly}) ≈ {median}`"
        if money["break_even_monthly"] is not None:
            needed = self._money(money["break_even_monthly"])
            yield f"- {say('break_even.monthly')}: `{once} / {BREAK_EVEN_MONTHS} + {monthly} = {needed}`"
            if money["break_even_effect"] is not None and profit:
                window = f"{needed} × {self._decimal(money['window_months'], digits=6)}"
                if money["is_saved_cash"] and money["saved_hours"] is not None:
                    window = f"({window} {MINUS} {self._money(money['saved_hours'])})"
                effect = self._share(money["break_even_effect"])
                yield f"- {say('explain.break_even_effect')} `{window} / {self._money(profit['counterfactual'])} = {effect}`"
        if money["break_even_margin"] is not None and money["incremental_revenue"]:
            revenue, margin = self._money(money["incremental_revenue"]["estimate"]), self._share(money["break_even_margin"])
            yield f"- {say('break_even.margin')}: `{self._money(money['cost'])} / {revenue} = {margin}`"
        if money.get("npv"):
            yield from self._npv(money, once, monthly, benefit)

    def _npv(self, money: Mapping[str, Json], once: str, monthly: str, benefit: str) -> Iterator[str]:
        rate, months = money["discount_rate"], money["horizon_months"]
        factor = sum((1 + rate) ** (-month / 12) for month in range(1, months + 1))
        written, share = self._decimal(factor, digits=6), self._share(rate)
        growth = f"((1 + {share}) ^ (1 / 12) {MINUS} 1)"
        yield f"- {self.say('explain.annuity')} `(1 {MINUS} (1 + {share}) ^ (0 {MINUS} {months} / 12)) / {growth} = {written}`"
        total = self._money(money["npv"]["estimate"])
        yield f"- {self.say('money.npv')}: `({benefit} {MINUS} {monthly}) × {written} {MINUS} {once} = {total}`"
        if money.get("irr"):
            yield f"- {self.say('money.irr')}: {self.numbers.annual_rate(money['irr']['estimate'])}, {self.say('irr.note')}"

    def _contributions(self) -> Iterator[str]:
        """By factor, channel and branch: the parts, and that they sum to their total."""
        for dimension in ("factor", "channel", "branch"):
            rows = [row for row in self.document["contributions"] if row["dimension"] == dimension]
            if not rows:
                continue
            parts = " + ".join(f"({self._money(row['estimate'])})" for row in rows)
            names = ", ".join(unquoted(tables.part_name(self.numbers, dimension, row["key"])) for row in rows)
            total = self._money(sum(row["estimate"] for row in rows))
            yield f"- {self.say('explain.contributions', names=names)} `{parts} = {total}`"

    def _series(self, name: str, side: str, n_weeks: int | None = None) -> float:
        """A column of the weekly table summed over the weeks of a side; `n_weeks`: the first post weeks only."""
        metric, column = SERIES[name]
        return self._summed(self.document["metrics"][metric]["per_week"][column], side, n_weeks)

    def _summed(self, values: Sequence[float], side: str, n_weeks: int | None = None) -> float:
        kept = [value for value, row in zip(values, self.document["weekly"], strict=True) if row["side"] == side]
        return sum(kept if side == "pre" else kept[:n_weeks])

    def _priors(self) -> Iterator[Mapping[str, Json]]:
        """Those of this version, for a document that does not carry its own; the season is the one the ladder chose."""
        seasons = [reason["figures"].get("season") for reason in self.document["rung"]["reasons"]]
        season = next((found for found in seasons if found is not None), 0.0)
        for mode in MODES:
            n_pre_weeks = self.document["periods"]["pre"]["n_weeks"]
            weights = mode.prior(n_pre_weeks)
            for n, temper in enumerate(mode.tempers(season if mode is TOTAL else 0.0, n_pre_weeks)):
                yield {"mode": mode.name, "temper": n + 1, "weight": float(weights[n]), **temper._asdict()}

    def _sql(self, metric: str) -> str:
        return str(self.document["definitions"][metric]["sql"]).removesuffix(".sql")

    def _written(self, factor: str) -> Written:
        return self._money if factor == "average_check" else self._decimal if factor == "leads" else self._share

    def _share(self, value: float) -> str:
        return self.numbers.percent(value, digits=4)

    def _decimal(self, value: float, digits: int = 2) -> str:
        return self.numbers.decimal(value, digits=digits)

    def _money(self, value: float) -> str:
        return self.numbers.decimal(value, digits=2)

    def _sum(self, value: float) -> str:
        """A sum as it is: whole numbers whole."""
        return self.numbers.whole(value) if float(value).is_integer() else self.numbers.decimal(value, digits=2)
