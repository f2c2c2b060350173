"""What a business calls its steps and metrics: the names of its funnel.toml, as the document carries them, in place of ours.

Names are texts of a configuration: they are never formatted, and each output escapes them as it escapes texts of a CRM.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.reports.numbers import Numbers, numbers_of
from pipeline.reports.words import Words, plain

Json = Any
# Other messages that are the name of a standard metric as well.
ALSO = {
    "leads": ("column.leads", "factor.leads", "explain.leads"),
    "booking_conversion": ("factor.booking_rate",),
    "show_rate": ("factor.show_rate",),
    "visit_conversion": ("factor.visit_rate",),
    "average_check": ("factor.average_check",),
    "visits": ("column.visits", "explain.visits"),
}
# Formulas name a milestone by the step that plays its role.
OF_ROLES = {"booked": "explain.booked", "visited": "explain.visited", "paid": "explain.paid"}
# Messages with the name of a metric in them, in the words of `own.*`.
WITH_NAME = {
    "leads": {"tile.leads": "a_week", "since.leads_a_week": "a_week", "claim.leads_effect": "own.effect"},
    "visits": {
        "section.weekly": "own.weekly", "claim.visits_effect": "own.effect", "chart.expected": "own.expected",
        "chart.whole": "own.whole",
    },
}  # fmt: skip


def numbers_for(document: Mapping[str, Json], language: str) -> Numbers:
    """Figures of a document, in the words of its business. Raises KeyError for a language without a catalogue."""
    numbers = numbers_of(language, plain(document["currency"]), document["timezone"])
    own = document.get("business_funnel")
    if own is None:
        return numbers
    names = dict(_names(own, numbers.words))
    names.update(_definitions(own, document, numbers.words))
    return Numbers(numbers.words.calling(names), numbers.currency, numbers.timezone)


def name_in(names: Mapping[str, str], language: str) -> str:
    """The name in a language, else the one for every language, else the English or the first there is."""
    return plain(names.get(language) or names.get("") or names.get("en") or next((names[code] for code in sorted(names)), ""))


def _names(own: Mapping[str, Json], words: Words) -> Iterator[tuple[str, str]]:
    for step in own["steps"]:
        if step["role"] in OF_ROLES:
            yield OF_ROLES[step["role"]], name_in(step["names"], words.language)
    for name, titles in own["titles"].items():
        title = name_in(titles, words.language)
        yield f"metric.{name}", title
        yield from ((key, title) for key in ALSO.get(name, ()))
        yield from ((key, words.say(told, n=title)) for key, told in WITH_NAME.get(name, {}).items())
    for found in own["metrics"]:
        yield f"metric.{found['name']}", name_in(found["names"], words.language)


def _definitions(own: Mapping[str, Json], document: Mapping[str, Json], words: Words) -> Iterator[tuple[str, str]]:
    """What a rate between two steps counts, told with the names of the steps instead of their keys."""
    titles = {step["key"]: name_in(step["names"], words.language) for step in own["steps"]}
    titles.update({step["role"]: titles[step["key"]] for step in own["steps"] if step["role"]})
    for found in own["metrics"]:
        if found["reached"] is None:
            continue

        def called(key: str) -> str:
            return titles.get(key) or words.say(f"role.{key}")

        told = {"reached": called(found["reached"]), **({"of": called(found["of"])} if found["of"] else {})}
        sentence = words.say("own.definition" if found["of"] else "own.definition.all", **told)
        yield document["definitions"][found["name"]]["definition"], sentence
