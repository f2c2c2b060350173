"""A business's own funnel: config/funnel.toml. Steps in its own words, rates between them, names of the standard metrics.

A step may play a role in the money chain (leads x booked x visited x paid): then it is that milestone under another name. A step
without a role is a milestone of its own. Whoever reached a step has reached every step before it, except skippable ones.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from connectors.text import clean_name, fold
from pipeline.errors import ConfigError
from pipeline.languages import LANGUAGES
from pipeline.own_metrics import MOST_METRICS, OwnMetric, column, declared, read_metric_files
from pipeline.queries import names as query_names
from pipeline.stages import MILESTONES, NO_MILESTONE
from pipeline.strict import Place, build, nearest, read_toml

LEAD = "lead"  # the role of the first step: every lead has reached it
ROLES = (LEAD, *MILESTONES)
# Each of these implies those before it, so they stand in the funnel in this order.
LADDER = (LEAD, "qualified", "booked", "visited", "paid")
MOST_STEPS = 40
LONGEST_NAME = 80
# What the tables of journeys use for themselves, and what stages.toml means otherwise.
RESERVED = ("next_visit", "own_paid", NO_MILESTONE, "unmapped")

Names = Mapping[str, str]  # by language; "" stands for every language


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `role` is empty for a milestone of its own. Later steps say nothing of a skippable one."""

    key: str
    names: Names
    role: str = ""
    is_skippable: bool = False


@dataclass(frozen=True, slots=True)
class OwnFunnel:
    """The steps in order, the metrics of one's own, and names of standard metrics; empty without config/funnel.toml."""

    steps: tuple[Step, ...] = ()
    metrics: tuple[OwnMetric, ...] = ()
    titles: Mapping[str, Names] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not (self.steps or self.metrics or self.titles)

    @property
    def words(self) -> tuple[str, ...]:
        """What stages.toml may map a stage to, but `none`."""
        return (*(step.key for step in self.steps), *(role for role in MILESTONES if role not in self._by_key()))

    def milestone_of(self, word: str) -> str:
        """The milestone that a word of stages.toml means for the money chain."""
        step = self._by_key().get(word)
        if step is None:
            return word
        if step.role:
            return NO_MILESTONE if step.role == LEAD else step.role
        before = [one.role for one in self.steps[: self.steps.index(step)] if one.role in LADDER[1:]]
        return before[-1] if before else NO_MILESTONE

    def reached_by(self, word: str) -> tuple[str, ...]:
        """The steps without a role that a stage mapped to `word` says were reached."""
        found = self._place(word)
        if found is None:
            return ()
        before = [step.key for step in self.steps[:found] if not step.role and not step.is_skippable]
        return (*before, word) if self.steps[found].key == word and not self.steps[found].role else tuple(before)

    def mapped(self, words: Iterable[str]) -> set[str]:
        """The keys of the steps that a stage leads to, by the words of stages.toml; every lead reaches the first."""
        used = set(words)
        return {step.key for step in self.steps if step.role == LEAD or used & {step.key, step.role or step.key}}

    def facts(self) -> Any:
        """Everything in it as JSON values, for the fingerprint of the configuration."""
        return {
            "steps": [asdict(step) for step in self.steps],
            "metrics": [one.facts() for one in self.metrics],
            "titles": dict(self.titles),
        }

    def _by_key(self) -> dict[str, Step]:
        return {step.key: step for step in self.steps}

    def _place(self, word: str) -> int | None:
        """Where in the order a word stands; None: it says nothing of the steps. Who missed a visit was booked, no more."""
        step = self._by_key().get(word)
        role = step.role if step else word
        if step is not None and not role:
            return self.steps.index(step)
        places = {one.role: n for n, one in enumerate(self.steps)}
        highest = "booked" if role in ("confirmed", "no_show") else role
        below = LADDER[: LADDER.index(highest) + 1] if highest in LADDER else ()
        return next((places[one] for one in reversed(below) if one in places), None)


@dataclass(frozen=True, slots=True)
class _Step:
    key: str
    name: Any
    role: str = ""
    skippable: bool = False


@dataclass(frozen=True, slots=True)
class _Metric:
    reached: str
    title: Any
    of: str = ""
    better: Literal["higher", "lower"] = "higher"


@dataclass(frozen=True, slots=True)
class _Outline:
    steps: tuple[_Step, ...] = ()
    metrics: Mapping[str, _Metric] = field(default_factory=dict)
    titles: Mapping[str, Any] = field(default_factory=dict)


def read_funnel(folder: Path) -> OwnFunnel:
    """The funnel of funnel.toml and the files of metrics/ in the config folder; an empty one without both. Raises ConfigError."""
    path = folder / "funnel.toml"
    outline = build(_Outline, read_toml(path), Place(path), {}) if path.is_file() else _Outline()
    steps = _steps(outline.steps, Place(path, "steps"))
    standard = [name.rpartition("/")[2] for name in query_names("metrics")]
    if len(outline.metrics) > MOST_METRICS:
        raise ConfigError(f"{Place(path, 'metrics')}: {len(outline.metrics)} metrics, at most {MOST_METRICS} are possible")
    metrics = [_declared(name, one, steps, standard, Place(path, f"metrics.{name}")) for name, one in outline.metrics.items()]
    taken = dict.fromkeys(standard, "one of Payback's own metrics") | dict.fromkeys(outline.metrics, f"declared in {path}")
    files = read_metric_files(folder / "metrics", taken, _columns(steps))
    _check_told_apart({one.name: one.titles for one in (*metrics, *files)}, Place(path if metrics else folder / "metrics"))
    titles = dict(_titles(outline.titles, [*standard, "visits"], Place(path, "titles")))
    return OwnFunnel(tuple(steps), (*metrics, *files), titles)


def _steps(given: Sequence[_Step], place: Place) -> list[Step]:
    if len(given) > MOST_STEPS:
        raise ConfigError(
            f"{place}: {len(given)} steps, at most {MOST_STEPS} are possible",
            hint="a funnel holds what a customer goes through, not every task: map several stages to one step",
        )
    roles: dict[str, str] = {}
    keys: set[str] = set()
    found: list[Step] = []
    for one in given:
        step = _step(one, place)
        if step.key in keys:
            raise ConfigError(f"{place}: the step {step.key!r} stands there twice")
        if step.role in roles:
            raise ConfigError(f"{place}: {roles[step.role]!r} and {step.key!r} both play the role {step.role!r}",
                              hint="map the stages of both to one step, or leave the role of one of them out")  # fmt: skip
        keys.add(step.key)
        if step.role:
            roles[step.role] = step.key
        found.append(step)
    _check_order(roles, given, place)
    _check_told_apart({step.key: step.names for step in found}, place)
    return found


def _step(one: _Step, place: Place) -> Step:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", one.key) or one.key in RESERVED:
        raise ConfigError(
            f"{place}: {one.key[:50]!r} cannot be the key of a step",
            hint="a key is Latin letters, digits and _, such as trial_booked",
        )
    if one.role and one.role not in ROLES:
        raise ConfigError(
            f"{place}: the step {one.key[:50]!r}: no role {one.role[:50]!r}{nearest(one.role, ROLES)}",
            hint=f"roles: {', '.join(ROLES)}, or none at all",
        )
    role = one.role or (one.key if one.key in ROLES else "")
    if one.key in ROLES and role != one.key:
        raise ConfigError(
            f"{place}: the step {one.key[:50]!r} is called like a role and plays another one ({role})", hint="give it another key"
        )
    if one.skippable and role:
        raise ConfigError(
            f"{place}: the step {one.key[:50]!r} plays the role {role!r} and cannot be skippable", hint="leave skippable out"
        )
    return Step(one.key, names_of(one.name, place, f"the step {one.key[:50]!r}"), role, one.skippable)


def _check_order(roles: Mapping[str, str], given: Sequence[_Step], place: Place) -> None:
    if not given:
        return
    if "visited" not in roles:
        raise ConfigError(
            f"{place}: no step plays the role 'visited'",
            hint='the effect is measured on those who came (got the service): give that step role = "visited"',
        )
    found = [role for role in roles if role in LADDER]
    wanted = [role for role in LADDER if role in roles]
    if found != wanted:
        raise ConfigError(
            f"{place}: the roles stand in the order {', '.join(found)}; they follow each other as {', '.join(wanted)}",
            hint="put the steps in the order a customer goes through them",
        )
    if LEAD in roles and given[0].key != roles[LEAD]:
        raise ConfigError(f"{place}: {roles[LEAD]!r} plays the role {LEAD!r} and is not the first step")


def _check_told_apart(named: Mapping[str, Names], place: Place) -> None:
    """No two steps, and no two metrics, of one name: nobody could tell their rows in a report apart."""
    for language in LANGUAGES:
        taken: dict[str, str] = {}
        for key, names in named.items():
            name = names.get(language) or names.get("")
            other = taken.setdefault(fold(name) or "", key) if name else key
            if other != key:
                raise ConfigError(f"{place}: {other!r} and {key!r} are both called {name!r}", hint="give each a name of its own")


def names_of(value: object, place: Place, subject: str) -> Names:
    """`"Договор"` or `{ ru = "Договор", en = "Contract" }`, cleaned. Raises ConfigError."""
    texts = {"": value} if isinstance(value, str) else value
    if not isinstance(texts, Mapping) or not texts:
        raise ConfigError(f'{place}: {subject} needs a name in quotes, or one a language: {{ ru = "...", en = "..." }}')
    found = {}
    for language, text in texts.items():
        if language and language not in LANGUAGES:
            raise ConfigError(
                f"{place}: {subject}: no language {language[:50]!r}{nearest(language, LANGUAGES)}",
                hint=f"languages: {', '.join(LANGUAGES)}",
            )
        name = clean_name(text) if isinstance(text, str) else None
        if not name:
            raise ConfigError(f"{place}: {subject}: an empty name", hint="write what people should read in reports")
        if len(name) > LONGEST_NAME:
            raise ConfigError(
                f"{place}: {subject}: a name of more than {LONGEST_NAME} characters",
                hint="reports are read on phones: shorten it",
            )
        found[language] = name
    return found


def _declared(name: str, one: _Metric, steps: Sequence[Step], standard: Sequence[str], place: Place) -> OwnMetric:
    """A rate between two steps."""
    if name in standard:
        raise ConfigError(
            f"{place}: {name!r} is one of Payback's own metrics",
            hint=f'choose another name; to rename it in reports: [titles] {name} = "..."',
        )
    keys = {step.key: step for step in steps}
    roles = {step.role: step for step in steps if step.role}
    columns: list[str | None] = []
    found: list[Step | None] = []
    for word in (one.reached, *([one.of] if one.of else [])):
        step = keys.get(word) or roles.get(word)
        role = step.role if step else word if word in ROLES else ""
        if step is None and not role:
            known = [*keys, *(role for role in ROLES if role not in roles)]
            raise ConfigError(f"{place}: no step {word[:50]!r}{nearest(word, known)}", hint=f"steps: {', '.join(known)}")
        found.append(step)
        columns.append(None if role == LEAD else column(step.key if step else role))
    if columns[0] is None:
        raise ConfigError(f"{place}: every lead has reached {one.reached!r}", hint="name a later step")
    if columns[0] == columns[-1] and one.of:
        raise ConfigError(f"{place}: reached and of are the same step")
    if one.of and _is_implied(found[0], found[1], steps):
        raise ConfigError(
            f"{place}: {one.reached!r} stands before {one.of!r} in the funnel: all who reached the second reached the first",
            hint="swap reached and of",
        )
    titles = names_of(one.title, place.of("title"), f"the metric {name[:50]!r}")
    return declared(
        name,
        titles,
        reached=(one.reached, columns[0]),
        of=(one.of, columns[1] if one.of else None),
        better=one.better,
        place=place,
    )


def _is_implied(earlier: Step | None, later: Step | None, steps: Sequence[Step]) -> bool:
    """Whether whoever reached the one has reached the other by the order alone."""
    if earlier is None or later is None or earlier.is_skippable or (earlier.role and earlier.role not in LADDER):
        return False
    return steps.index(earlier) < steps.index(later) and later.role not in ("confirmed", "no_show", "cancelled", "lost")


def _titles(given: Mapping[str, Any], known: Sequence[str], place: Place) -> Iterator[tuple[str, Names]]:
    for name, value in given.items():
        if name not in known:
            told = f"{place.of(name)}: no metric {name[:50]!r}{nearest(name, known)}"
            raise ConfigError(told, hint=f"known: {', '.join(known)}")
        yield name, names_of(value, place.of(name), f"the metric {name[:50]!r}")


def step_columns(steps: Sequence[Step]) -> list[tuple[str, str]]:
    """(column, SQL expression over `journeys`) of each step that plays a role under another name."""
    return [
        (column(step.key), "cast(0 as double precision)" if step.role == LEAD else column(step.role))
        for step in steps
        if (step.role and step.key != step.role) or step.key == LEAD
    ]


def own_steps(steps: Sequence[Step]) -> list[Step]:
    """The steps without a role."""
    return [step for step in steps if not step.role]


def _columns(steps: Sequence[Step]) -> list[str]:
    """The columns that the table `funnel` has beyond those of `journeys`."""
    return [name for name, _ in step_columns(steps)] + [column(step.key) for step in own_steps(steps)]
