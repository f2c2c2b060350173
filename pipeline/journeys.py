"""Journeys: stages become milestones, origins become channels, and every lead becomes one row, as known at one time.

Stages and origins are resolved here, over the distinct combinations that the data hold; SQL only joins the answers.
The result is temporary tables of a reading connection: `journeys`, the records each is made of (`parts`), and `payments`;
their columns are told in sql/.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors.text import fold
from pipeline.funnel import OwnFunnel, own_steps, step_columns
from pipeline.launches import Scope
from pipeline.own_metrics import column as hours_column
from pipeline.queries import load
from pipeline.settings import ChannelRule
from pipeline.stages import StageRule

if TYPE_CHECKING:
    from pipeline.warehouse import Reading

UNMAPPED = "unmapped"  # as a milestone: nobody said what the stage means
UNKNOWN = "unknown"  # as a channel: nothing about the origin is filled in
OTHER = "other"  # as a channel: filled in, but no rule fits
ORIGIN_FIELDS = ("crm_source", "utm_source", "utm_medium", "utm_campaign")
ANY_PIPELINE = "*"

# Sources of support requests alone have no leads to judge.
_HEARD = """
    select source from (select distinct source from commits where seen_at <= :seen_until) as heard
    where not exists (select 1 from support_requests as r where r.source = heard.source and r.seen_at <= :seen_until)
        or exists (select 1 from leads as l where l.source = heard.source)
        or exists (select 1 from deals as d where d.source = heard.source)
"""

StageKey = tuple[str, str, str, str]  # source, entity, pipeline_id, stage_id
Origin = tuple[str, str, str, str]  # ORIGIN_FIELDS, empty where not filled


@dataclass(frozen=True, slots=True)
class StageUse:
    """One stage that the data name, what it means, and how many versions and changes name it."""

    source: str
    entity: str
    pipeline_id: str
    stage_id: str
    n: int
    milestone: str


def milestone_of(stage: StageKey, rules: Mapping[StageKey, str]) -> str:
    """The milestone of a stage; a rule for its pipeline goes before one for any pipeline."""
    source, entity, pipeline_id, stage_id = stage
    for pipeline in (pipeline_id, ANY_PIPELINE):
        found = rules.get((source, entity, pipeline, stage_id))
        if found is not None:
            return found
    return UNMAPPED


def channel_of(origin: Origin, rules: Sequence[ChannelRule]) -> str:
    """The channel of an origin: the first rule whose every filled field fits; `rules` with folded patterns."""
    if not any(origin):
        return UNKNOWN
    for rule in rules:
        patterns = (getattr(rule, name) for name in ORIGIN_FIELDS)
        if all(
            not wanted or any(fits(pattern, value) for pattern in wanted) for wanted, value in zip(patterns, origin, strict=True)
        ):
            return rule.name
    return OTHER


def fits(pattern: str, value: str) -> bool:
    """`abc` the word, `abc*` its beginning, `*abc` its end, `*abc*` a part; an empty value fits nothing."""
    if not value:
        return False
    word = pattern.strip("*")
    if pattern.startswith("*"):
        return word in value if pattern.endswith("*") else value.endswith(word)
    return value.startswith(word) if pattern.endswith("*") else value == word


def folded(rules: Iterable[ChannelRule]) -> tuple[ChannelRule, ...]:
    """The rules with their patterns written as the warehouse writes words."""
    return tuple(
        ChannelRule(rule.name, *(tuple(fold(pattern) or "" for pattern in getattr(rule, name)) for name in ORIGIN_FIELDS))
        for rule in rules
    )


def build_journeys(
    reading: "Reading",
    *,
    stages: Sequence[StageRule],
    channels: Sequence[ChannelRule],
    seen_until: datetime,
    currency: str,
    scope: Scope | None = None,
    funnel: OwnFunnel | None = None,
) -> tuple[StageUse, ...]:
    """Makes the temporary tables `stage_map`, `channel_map`, `journeys`, `parts`, `payments` and `scope_sources`; the stages
    found, with their milestones.

    With a scope they hold only its leads, and `every_journey` all of them. With steps or metrics of one's own there is the table
    `funnel` too: journeys with a column KEY_hours for each step. An amount in another currency than
    `currency` is left out (a check counts them). Raises WarehouseError.
    """
    own = funnel or OwnFunnel()
    uses = _map_stages(reading, stages, seen_until, own)
    _map_channels(reading, channels, seen_until)
    conditions, parameters = within(scope or Scope())
    reading.create(
        "every_journey" if conditions else "journeys", load("journeys"), {"seen_until": seen_until, "currency": currency}
    )
    if conditions:
        reading.create("journeys", f"select * from every_journey where {' and '.join(conditions)}", parameters)
    known: dict[str, object] = {"seen_until": seen_until}
    reading.create("parts", load("parts"), {**known, "currency": currency})
    reading.create("payments", load("payments"), known)
    heard = [row.source for row in reading.rows(_HEARD, known)]
    reading.load("scope_sources", _texts({"source": (scope and scope.sources) or heard}))
    if own.steps or own.metrics:
        _create_funnel(reading, own, known)
    return uses


def build_zones(reading: "Reading", scopes: Sequence[Scope]) -> dict[int, int]:
    """Makes `every_journey` out of `journeys`, with a `zone`: bit n is set where scope n holds the lead. Leads by zone."""
    bits, parameters = ["0"], {}
    for n, scope in enumerate(scopes):
        conditions, values = within(scope, f"scope_{n}_")
        bits.append(f"case when {' and '.join(conditions) or '1 = 1'} then {1 << n} else 0 end")
        parameters.update(values)
    reading.create("every_journey", f"select journeys.*, {' + '.join(bits)} as zone from journeys", parameters)
    rows = reading.rows("select zone, count(*) as n from every_journey group by zone order by zone")
    return {int(row.zone): int(row.n) for row in rows}


def keep_zones(reading: "Reading", zones: Iterable[int], *, seen_until: datetime, currency: str) -> None:
    """Narrows `journeys`, `parts` and `payments` to the leads of these zones of `build_zones`."""
    numbers = ", ".join(str(int(zone)) for zone in zones)
    reading.create("journeys", f"select * from every_journey where zone in ({numbers})")
    reading.create("parts", load("parts"), {"seen_until": seen_until, "currency": currency})
    reading.create("payments", load("payments"), {"seen_until": seen_until})


def _map_stages(reading: "Reading", stages: Sequence[StageRule], seen_until: datetime, own: OwnFunnel) -> tuple[StageUse, ...]:
    rules = {(rule.source, rule.entity, rule.pipeline_id, rule.stage_id): rule.milestone for rule in stages}
    seen = reading.columns(load("stages_seen"), {"seen_until": seen_until}).to_pylist()
    words = [milestone_of((row["source"], row["entity"], row["pipeline_id"], row["stage_id"]), rules) for row in seen]
    uses = [StageUse(**row, milestone=own.milestone_of(word)) for row, word in zip(seen, words, strict=True)]
    columns = ("source", "entity", "pipeline_id", "stage_id")
    reading.load("stage_map", _texts({name: [getattr(use, name) for use in uses] for name in (*columns, "milestone")}))
    if own_steps(own.steps):
        reached = [(use, step) for use, word in zip(uses, words, strict=True) for step in own.reached_by(word)]
        steps = {name: [getattr(use, name) for use, _ in reached] for name in columns}
        reading.load("step_map", _texts({**steps, "step": [step for _, step in reached]}))
    return tuple(sorted(uses, key=lambda use: (use.source, use.entity, use.pipeline_id, use.stage_id)))


def _create_funnel(reading: "Reading", own: OwnFunnel, known: Mapping[str, object]) -> None:
    """The table `funnel`. Keys of steps are letters, digits and _ only: they stand in the text."""
    columns = [f"{expression} as {name}" for name, expression in step_columns(own.steps)]
    keys = [step.key for step in own_steps(own.steps)]
    if not keys:
        reading.create("funnel", f"select {', '.join(['journeys.*', *columns])} from journeys")
        return
    reading.create("own_steps", load("funnel/steps"), known)
    columns += [f"own.{hours_column(key)}" for key in keys]
    hours = ", ".join(f"min(case when step = '{key}' then hours end) as {hours_column(key)}" for key in keys)
    own_hours = f"select source, entity, journey_id, {hours} from own_steps group by source, entity, journey_id"
    reading.create(
        "funnel",
        f"select journeys.*, {', '.join(columns)} from journeys left join ({own_hours}) as own"
        " on own.source = journeys.source and own.entity = journeys.entity and own.journey_id = journeys.journey_id",
    )


def _map_channels(reading: "Reading", channels: Sequence[ChannelRule], seen_until: datetime) -> None:
    rules = folded(channels)
    seen = reading.columns(load("origins_seen"), {"seen_until": seen_until})
    fields = {name: seen.column(name).to_pylist() for name in ORIGIN_FIELDS}
    channels_found = [channel_of(origin, rules) for origin in zip(*fields.values(), strict=True)]
    reading.load("channel_map", _texts({**fields, "channel": channels_found}))


def _texts(columns: Mapping[str, Sequence[str]]) -> pa.Table:
    """A table of texts; typed, because an empty list alone does not say what it is a list of."""
    return pa.table({name: pa.array(values, type=pa.string()) for name, values in columns.items()})


def within(scope: Scope, prefix: str = "") -> tuple[list[str], dict[str, str]]:
    """Conditions on journeys (SQL) and their parameters; none for a scope of everything."""
    conditions, parameters = [], {}
    chosen = {
        "channel": scope.channels,
        "branch": scope.branches,
        "owner_id": scope.owners,
        "pipeline_id": scope.pipelines,
        "source": scope.sources,
    }
    for column, values in chosen.items():
        if values:
            names = {f"{prefix}{column}_{n}": value for n, value in enumerate(values)}
            parameters.update(names)
            conditions.append(f"{column} in ({', '.join(':' + name for name in names)})")
    return conditions, parameters
