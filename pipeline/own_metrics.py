"""Metrics of one's own: rates between two steps (funnel.toml), and SQL files beside the configuration (config/metrics/*.sql).

A file has the header and the parameters of sql/metrics/ and reads `funnel` (`journeys` with a column KEY_hours for each step),
`journeys` or `payments`: these hold what was known at the time, in the scope of the launch. It is parsed
and run on empty tables before it comes near the warehouse, so that a slip is found when the configuration is read.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from connectors.text import is_acting
from pipeline import queries
from pipeline.errors import ConfigError
from pipeline.queries import Query
from pipeline.strict import Place, nearest

PARAMETERS = frozenset({"start", "end", "horizon_hours"})
DIMENSIONS = ("created_on", "channel", "branch", "owner_id")
RATE, AMOUNTS, COUNT = ("numerator", "denominator"), ("n", "total", "total_sq"), ("n",)
# What a file may say it measures, and the columns that come to it. Sums of money are none of them: they belong to the claims.
UNITS = {"share": RATE, "leads": COUNT, "minutes_each": AMOUNTS, "money_each": AMOUNTS}
LARGEST = 64 * 1024  # bytes of a file
MOST_METRICS = 40
_HOURS = ("qualified", "booked", "confirmed", "visited", "no_show", "cancelled", "paid", "lost", "next_visit", "own_paid")
_JOURNEYS = {
    **dict.fromkeys(("source", "journey_id", "entity"), "varchar"),
    "created_at": "timestamp", "created_on": "date",
    **dict.fromkeys(("channel", "branch", "owner_id", "pipeline_id", "customer", "customer_source"), "varchar"),
    "is_duplicate": "boolean", "is_repeat": "boolean", "n_visits_before": "bigint",
    **{f"{name}_hours": "double" for name in _HOURS},
    "amount": "numeric(18, 2)", "own_amount": "numeric(18, 2)",
}  # fmt: skip
_PAYMENTS = {
    **dict.fromkeys(("source", "entity", "journey_id"), "varchar"), "created_on": "date",
    **dict.fromkeys(("channel", "branch", "owner_id"), "varchar"),
    "paid_hours": "double", "replaced_hours": "double", "amount": "numeric(18, 2)",
}  # fmt: skip
TABLES = {"journeys": _JOURNEYS, "payments": _PAYMENTS}
# The words that may stand before a bracket. All others are functions that some engine lacks, or that do more than count.
_BEFORE_BRACKET = frozenset(
    {"abs", "all", "and", "any", "as", "between", "by", "case", "cast", "ceil", "coalesce", "count", "dense_rank", "distinct",
     "else", "except", "exists", "extract", "filter", "floor", "from", "greatest", "having", "in", "intersect", "join", "least",
     "max", "min", "not", "nullif", "numeric", "decimal", "on", "or", "over", "partition", "rank", "round", "row_number",
     "select", "sum", "then", "union", "using", "values", "varchar", "when", "where"}
)  # fmt: skip
_NOT_CODE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.S)
_LITERALS = {"start": "date '2026-01-05'", "end": "date '2026-01-05'", "horizon_hours": "720"}  # for a look at the text alone
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """One metric: its query, its name in reports by language ("": every one), and the two steps where it was declared by them."""

    query: Query
    titles: Mapping[str, str]
    steps: tuple[str, str] | None = None
    path: str = ""  # of its file, for messages

    @property
    def name(self) -> str:
        return self.query.name.rpartition("/")[2]

    def facts(self) -> dict[str, Any]:
        """What it is, as JSON values."""
        return {"name": self.name, "titles": dict(self.titles), "steps": self.steps, "text": self.query.text}


def column(key: str) -> str:
    """The column of `funnel` that says how many hours after its creation a lead reached the step."""
    return f"{key}_hours"


def declared(
    name: str, titles: Mapping[str, str], *, reached: tuple[str, str], of: tuple[str, str | None], better: str, place: Place
) -> OwnMetric:
    """The share of the leads at step `of` (key, column; no column: all leads) that reached a step, both within the horizon.

    Keys are letters, digits and _ only: they stand in the text.
    """
    check_name(name, place)
    (key, hours), (base_key, base) = reached, of
    among = f"those that reached {base_key} within it" if base else "all leads"
    both = f"{hours} <= :horizon_hours" + (f" and {base} <= :horizon_hours" if base else "")
    whole = f"count(case when {base} <= :horizon_hours then 1 end)" if base else "count(*)"
    text = f"""-- title: {name}
-- unit: share
-- better: {better}
-- definition: Leads that reached {key} within the horizon, of {among}.
select
    created_on, channel, branch, owner_id,
    count(case when {both} then 1 end) as numerator,
    {whole} as denominator
from funnel
where created_on >= :start and created_on < :end
group by created_on, channel, branch, owner_id
"""
    return OwnMetric(queries.parsed(text, f"own/{name}"), titles, (key, base_key if base else ""))


def check_name(name: str, place: Place) -> None:
    """Raises ConfigError for what cannot name a metric."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{place}: {name[:50]!r} cannot name a metric", hint="a name is Latin letters, digits and _, such as contract_rate"
        )


def read_metric_files(folder: Path, taken: Mapping[str, str], columns: Sequence[str]) -> list[OwnMetric]:
    """The metrics of a folder of SQL files, sorted; `columns` are those of `funnel` beyond `journeys`.

    Raises ConfigError naming the file for a name that is `taken`, and for everything that a metric must not be.
    """
    found: list[OwnMetric] = []
    paths = sorted(folder.glob("*.sql"))
    if len(paths) > MOST_METRICS:
        raise ConfigError(f"{folder}: {len(paths)} files, at most {MOST_METRICS} metrics are possible")
    for path in paths:
        place = Place(path)
        name = path.stem
        check_name(name, place)
        if name in taken:
            raise ConfigError(f"{place}: {name!r} is {taken[name]}", hint="rename the file: a name stands for one metric")
        query = queries.parsed(_text(path), f"own/{name}")
        _check_header(query, place)
        _check_text(query.text, place)
        _try_out(query, columns, place)
        found.append(OwnMetric(query, {"": query.title}, path=str(path)))
    return found


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig") if path.stat().st_size <= LARGEST else ""
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text:
        hint = f"it must be a UTF-8 text file of at most {LARGEST >> 10} KB that you may read"
        raise ConfigError(f"{path}: cannot be read, or is empty", hint=hint)
    if is_acting(text):
        raise ConfigError(f"{path}: an invisible control or direction character", hint="type it anew instead of pasting it")
    return text


def _check_header(query: Query, place: Place) -> None:
    hint = "the first lines are comments: -- title: ..., -- unit: share, -- better: higher, -- definition: ..."
    for key in ("title", "definition"):
        if not getattr(query, key).strip():
            raise ConfigError(f"{place}: no `-- {key}:` in its first lines", hint=hint)
    if len(query.title) > 80:
        raise ConfigError(f"{place}: a title of more than 80 characters", hint="reports are read on phones: shorten it")
    if query.unit not in UNITS:
        told = f"{place}: no unit {query.unit[:50]!r}{nearest(query.unit, list(UNITS))}"
        raise ConfigError(told, hint=f"units: {', '.join(UNITS)}")
    if query.better not in ("higher", "lower"):
        raise ConfigError(f"{place}: better is {query.better[:50]!r}", hint="-- better: higher, or lower")
    for word, names in (("knows no", query.parameters - PARAMETERS), ("lacks", PARAMETERS - query.parameters)):
        if names:
            listed = ", ".join(f":{name[:50]}" for name in sorted(names))
            raise ConfigError(f"{place}: the query {word} {listed}", hint="a metric takes :start, :end and :horizon_hours")


def _check_text(text: str, place: Place) -> None:
    """What a metric may be made of: one portable query that only counts."""
    problems = queries.violations(text)
    code = _NOT_CODE.sub(" ", text)
    strange = re.search(r'["$;`{}]', code.rstrip().removesuffix(";")) or re.search(r"[\\$]", text)
    if strange:
        what = "more than one statement" if strange[0] == ";" else f"the character {strange[0]}"
        problems.append(f"{what} - a metric is one plain query")
    for match in re.finditer(r"(\w+)\s*\(", code):
        if match[1].lower() not in _BEFORE_BRACKET:
            problems.append(f"{match[1][:50]}( - a metric only counts and sums")
    named = set(re.findall(r"(?<![:\w]):([a-zA-Z_]\w*)", text)) - PARAMETERS
    if named:  # the database's door takes these for parameters, wherever they stand
        problems.append(f":{sorted(named)[0][:50]} in a text or a comment - leave the colon out")
    if problems:
        raise ConfigError(f"{place}: {problems[0]}", hint="what a query may hold: sql/README.md, docs/funnel.md")


def _try_out(query: Query, columns: Sequence[str], place: Place) -> None:
    """Run it on empty tables of an empty database in memory, which reaches nothing outside. Raises ConfigError."""
    import duckdb  # slow to import, and hardly anybody has such files

    values = {"start": date(2026, 1, 5), "end": date(2026, 1, 5), "horizon_hours": 720}
    text = re.sub(r"(?<![:\w]):(start|end|horizon_hours)\b", r"$\1", query.text)
    literal = re.sub(r"\$(start|end|horizon_hours)\b", lambda found: _LITERALS[found[1]], text)
    database = duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": 1})
    try:
        try:
            kinds = [statement.type.name for statement in duckdb.extract_statements(text)]
        except duckdb.Error as error:
            raise ConfigError(f"{place}: {_told(error)}", hint="correct the query") from None
        if kinds != ["SELECT"]:
            raise ConfigError(f"{place}: expected one query that only reads, found {len(kinds)}: {', '.join(kinds)}")
        tables = {**TABLES, "funnel": {**_JOURNEYS, **dict.fromkeys(columns, "double")}}
        for name, kinds_of in tables.items():
            database.execute(f"create table {name} ({', '.join(f'{one} {kind}' for one, kind in kinds_of.items())})")
        try:
            read = {name.lower() for name in database.get_table_names(literal)}
            if read - set(tables):
                known = ", ".join(tables)
                raise ConfigError(
                    f"{place}: reads {sorted(read - set(tables))[0][:50]!r}",
                    hint=f"a metric reads {known}: these know the scope and the time",
                )
            described = database.execute(text, values).description
        except duckdb.Error as error:
            raise ConfigError(f"{place}: {_told(error)}", hint="correct the query") from None
        _check_columns({row[0]: str(row[1]) for row in described}, UNITS[query.unit], place)
    finally:
        database.close()


def _check_columns(found: Mapping[str, str], shape: Collection[str], place: Place) -> None:
    """The columns by name and type."""
    wanted = [*DIMENSIONS, *shape]
    for name in wanted:
        if name not in found:
            raise ConfigError(
                f"{place}: the column {name!r} is missing{nearest(name, list(found))}", hint=f"columns: {', '.join(wanted)}"
            )
    for name, kind in found.items():
        if name not in wanted:
            raise ConfigError(
                f"{place}: a column {name[:50]!r}{nearest(name, wanted)}", hint=f"columns: {', '.join(wanted)}, nothing else"
            )
        is_right = kind == ("DATE" if name == "created_on" else "VARCHAR") if name in DIMENSIONS else kind.startswith(_NUMBERS)
        if not is_right:
            raise ConfigError(
                f"{place}: the column {name!r} is {kind}",
                hint="created_on is a date, channel, branch and owner_id are texts, the rest numbers",
            )


_NUMBERS = ("BIGINT", "INTEGER", "HUGEINT", "DOUBLE", "DECIMAL", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER", "FLOAT", "NUMBER")


def _told(error: Exception) -> str:
    """The first lines of what DuckDB says, without the picture of the place."""
    return " ".join(str(error).split("\n\n")[0].split())[:300]
