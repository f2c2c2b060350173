"""How a programme's figures come about: each module's weeks, what was expected there, what it is carried to, and the sum.

Text in Markdown, of the document alone, by the rules of `explain`: between backticks stands arithmetic with the figures of the
document, whose right side is what the document says.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.effects import N_DRAWS
from pipeline.reports.numbers import MINUS, Numbers, numbers_of
from pipeline.reports.words import plain

Json = Any


def explain_programme(document: Mapping[str, Json], language: str = "en") -> str:
    """The whole account as Markdown. Raises KeyError for a language without a catalogue."""
    numbers = numbers_of(language, plain(document["currency"]), document["timezone"])
    account = _Account(document, numbers)
    return "\n".join([*account.head(), *account.steps(), *account.modules(), *account.whole(), *account.costs()]) + "\n"


class _Account:
    """The account of one document in one language, section by section."""

    def __init__(self, document: Mapping[str, Json], numbers: Numbers) -> None:
        self.document, self.numbers, self.say = document, numbers, numbers.words.say
        self.titles = {one["name"]: plain(one["title"]).replace("`", "'") for one in document["modules"]}
        margin = document["margin"]
        self.margin = "" if margin is None else f" × {numbers.decimal(margin, digits=4)}"

    def head(self) -> Iterator[str]:
        """What is explained, how to read it, and how to repeat it."""
        document, say = self.document, self.say
        yield f"# {say('modules.explain.title', programme=plain(document['programme']['title']).replace('`', chr(39)))}"
        yield f"\n{say('explain.intro', currency=plain(document['currency']))}\n"
        name = plain(document["programme"]["name"])
        yield f"- {say('explain.repeat')} `payback measure {name} --as-of {document['as_of']} --json`"
        found = document["provenance"]
        hashes = {key: plain(found[key]) for key in ("config_hash", "code_version")}
        yield f"- {say('modules.explain.provenance', **hashes, seen_until=document['seen_until'])}"

    def steps(self) -> Iterator[str]:
        """What began where, and what it brought in its own weeks and in those it is carried to."""
        say = self.say
        yield f"\n## {say('modules.section.steps')}\n\n{say('modules.explain.steps', draws=self.numbers.whole(N_DRAWS))}"
        for step in self.document["steps"]:
            yield f"\n### {self._listed(step['modules'])}\n"
            yield f"- {say('modules.explain.zone', names=self._listed(step['zone']))}"
            rule = say(f"modules.rule.{step['rule']}")
            yield f"- {say('modules.explain.rule', rule=rule)}"
            if not step["pieces"]:
                yield f"- {say('modules.explain.nothing')}"
                continue
            spans = {side: self.numbers.span(step[side]["start"], step[side]["end"]) for side in ("before", "after")}
            yield f"- {say('modules.explain.weeks', **spans, leads=self._count(step['n_leads']))}"
            yield from self._ratio(step)
            for n, piece in enumerate(step["pieces"]):
                yield from self._piece(step, piece, is_own=n == 0)

    def _ratio(self, step: Mapping[str, Json]) -> Iterator[str]:
        """What the leads of the step's own weeks brought, over what they were expected to."""
        seen, expected = (step["revenue"][side] for side in ("observed", "expected"))
        yield f"- {self.say('modules.explain.expected')} {self._money(expected)}"
        if expected:
            ratio = f"{self._money(seen)} / {self._money(expected)} = {self._ratio_of(step)}"
            yield f"- {self.say('modules.explain.ratio')} `{ratio}`"
        if step["known_from"]:
            yield f"- {self.say('modules.explain.known', names=self._listed(step['known_from']))}"

    def _piece(self, step: Mapping[str, Json], piece: Mapping[str, Json], *, is_own: bool) -> Iterator[str]:
        say, span = self.say, self.numbers.span(piece["start"], piece["end"])
        key = "own" if is_own else "carried"
        if len(piece["amounts"]) > 1 or step["known_from"]:
            shares = self.numbers.words.say("format.semicolon").join(
                f"{self._listed(one['modules'])} {self._money(one['estimate'])}" for one in piece["amounts"]
            )
            yield f"- {say(f'modules.explain.{key}', span=span)} {say('modules.explain.shares')} {shares}"
            return
        (amount,) = piece["amounts"]
        gained = f"({self._money(piece['revenue']['with'])} {MINUS} {self._money(piece['revenue']['without'])})"
        yield f"- {say(f'modules.explain.{key}', span=span)} `{gained}{self.margin} = {self._money(amount['estimate'])}`"

    def modules(self) -> Iterator[str]:
        """Each figure as the sum of what stands above; who has none, and why."""
        document, say = self.document, self.say
        yield f"\n## {say('modules.section.modules')}\n"
        for one in document["modules"]:
            if one["amount"] is None:
                yield f"- {self.titles[one['name']]}: {say('modules.state.' + one['state'])}"
            else:
                yield self._sum([one["name"]], one["amount"]["estimate"])
        yield from (self._sum(one["modules"], one["amount"]["estimate"]) for one in document["joint"])

    def _sum(self, names: Sequence[str], total: float) -> str:
        pieces = [amount["estimate"] for step in self.document["steps"] for piece in step["pieces"]
                  for amount in piece["amounts"] if amount["modules"] == list(names)]  # fmt: skip
        parts = " + ".join(f"({self._money(amount)})" for amount in pieces)
        title = self._listed(names)
        if len(names) > 1:
            title = self.say("modules.part.joint", names=title)
        return f"- {title}: `{parts} = {self._money(total)}`"

    def whole(self) -> Iterator[str]:
        """The whole by itself, and that its parts and the rest sum to it."""
        document, say = self.document, self.say
        money, told = document["money"], [*document["modules"], *document["joint"]]
        yield f"\n## {say('modules.part.whole')}\n"
        spans = {side: self.numbers.span(*(document["periods"][of][end] for end in ("start", "end")))
                 for side, of in (("before", "pre"), ("after", "post"))}  # fmt: skip
        yield f"- {say('modules.measured', **spans)}"
        total = self._money(money["amount"]["estimate"])
        gained = f"({self._money(money['revenue']['observed'])} {MINUS} {self._money(money['revenue']['expected'])})"
        yield f"- {say('modules.explain.whole')} `{gained}{self.margin} = {total}`"
        parts = [one["amount"]["estimate"] for one in told if one["amount"] is not None] + [document["rest"]["estimate"]]
        yield f"- {say('modules.note.sum')} `{' + '.join(f'({self._money(part)})' for part in parts)} = {total}`"
        yield f"- {say('modules.note.rest')}"

    def costs(self) -> Iterator[str]:
        """What the modules cost, and ROI."""
        document, say, money = self.document, self.say, self.document["money"]
        yield f"\n## {say('modules.column.cost')}\n"
        for one in document["modules"]:
            cost = say("not_counted") if one["cost"] is None else self._money(one["cost"])
            yield f"- {self.titles[one['name']]}: {cost}"
            if one["roi"] is not None:
                yield f"- {say('modules.column.roi')}: `{self._roi(one)} = {self._share(one['roi']['estimate'])}`"
        costs = [self._money(one["cost"]) for one in document["modules"] if one["cost"] is not None]
        if money["cost"] is not None:
            yield f"- {say('explain.sum')}: `{' + '.join(costs)} = {self._money(money['cost'])}`"
        if money["roi"] is not None:
            yield f"- {say('modules.explain.roi')} `{self._roi(money)} = {self._share(money['roi']['estimate'])}`"

    def _roi(self, found: Mapping[str, Json]) -> str:
        amount, cost = self._money(found["amount"]["estimate"]), self._money(found["cost"])
        saved = f" + {self._money(found['saved'])}" if found["saved"] else ""
        return f"(({amount}){saved} {MINUS} {cost}) / {cost}"

    def _ratio_of(self, step: Mapping[str, Json]) -> str:
        return self.numbers.decimal(step["revenue"]["observed"] / step["revenue"]["expected"], digits=4)

    def _listed(self, names: Sequence[str]) -> str:
        return self.numbers.words.listed(self.titles[name] for name in names)

    def _money(self, value: float) -> str:
        return self.numbers.decimal(value, digits=2)

    def _count(self, value: float) -> str:
        return self.numbers.whole(value)

    def _share(self, value: float) -> str:
        return self.numbers.percent(value, digits=4)
