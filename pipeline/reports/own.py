"""The business's own part of the report: its metrics as tiles, its funnel step by step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.reports import tiles
from pipeline.reports.naming import name_in
from pipeline.reports.numbers import Numbers
from pipeline.reports.tables import Table
from pipeline.reports.tiles import Tile

Json = Any


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step: leads that reached it on each side, and their share of all leads of that side; None where there is nothing."""

    title: str
    role: str
    sides: tuple[tuple[int | None, float | None], ...]  # before, after


def own_tiles(numbers: Numbers, document: Mapping[str, Json]) -> tuple[Tile, ...]:
    """The metrics of one's own as tiles, in the order of the configuration."""
    return tuple(tiles.metric_tile(numbers, document, name) for name in own_metrics(document))


def own_metrics(document: Mapping[str, Json]) -> tuple[str, ...]:
    """Their names."""
    return tuple(one["name"] for one in (document.get("business_funnel") or {"metrics": []})["metrics"])


def step_rows(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[StepRow]:
    """The steps in their order that a stage leads to; none without a funnel of one's own."""
    leads = document["funnel"][0]
    for step in (document.get("business_funnel") or {"steps": []})["steps"]:
        if not step["is_mapped"]:
            continue
        role = numbers.words.say(f"role.{step['role']}") if step["role"] else "—"
        sides = tuple((step[side], _share(step[side], leads[side])) for side in ("pre", "post"))
        yield StepRow(name_in(step["names"], numbers.words.language), role, sides)


def funnel_table(numbers: Numbers, document: Mapping[str, Json]) -> Table | None:
    """The funnel with the names of the business, and what each step is called in the rest of the report."""
    words = numbers.words
    rows = tuple((row.title, row.role, *(_cell(numbers, *side) for side in row.sides)) for row in step_rows(numbers, document))
    if not rows:
        return None
    columns = tuple(map(words.say, ("column.step", "column.role", "column.before", "column.after")))
    return Table("funnel", words.say("section.funnel"), words.say("funnel.note"), columns, rows, len(rows))


def _share(n: int | None, leads: float | None) -> float | None:
    return None if n is None or not leads else n / leads


def _cell(numbers: Numbers, n: int | None, share: float | None) -> str:
    if n is None:
        return numbers.words.say("none")
    return numbers.whole(n) if share is None else numbers.words.beside(numbers.whole(n), numbers.percent(share))
