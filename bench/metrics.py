"""Journeys and all metrics for 1 000 000 leads and about 3 000 000 stage changes, against what people would write instead.

    .venv/bin/python -m bench.metrics [--leads 1000000]

Three ways to the same cells (day x channel x branch x owner, every metric), on one DuckDB warehouse:
  payback       build_journeys and every file of sql/metrics, through the warehouse
  one query     one hand-written DuckDB query (arg_max, qualify, filter), rows fetched as Arrow
  pandas        read_sql of the tables, drop_duplicates, merge, groupby
Prints seconds (best of --repeat) and checks that the cells are equal.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import duckdb
import pandas as pd

from pipeline import metrics
from pipeline.journeys import build_journeys
from pipeline.periods import horizon_hours
from pipeline.settings import ChannelRule
from pipeline.stages import StageRule
from pipeline.warehouse import Warehouse

SEEN_UNTIL = datetime(2026, 11, 20)
START, END = date(2024, 10, 7), date(2026, 9, 28)
HORIZON = horizon_hours(14)
MARGIN = 0.6
STAGES = {
    "NEW": "none", "QUAL": "qualified", "BOOKED": "booked", "VISITED": "visited",
    "NOSHOW": "no_show", "CONVERTED": "paid", "JUNK": "lost",
}  # fmt: skip
STAGE_RULES = [StageRule("crm", "lead", "*", stage, milestone) for stage, milestone in STAGES.items()] + [
    StageRule("crm", "deal", "*", "WON", "paid")
]
CHANNEL_RULES = [ChannelRule("Search", utm_source=("yandex*", "google*")), ChannelRule("Social", utm_source=("vk",))]
KEYS = ["created_on", "channel", "branch", "owner_id"]

FILL = """
create temp table seed as select
    i, cast(i as varchar) as id,
    timestamp '2024-10-01 06:00:00' + to_seconds(cast(i * 63000000.0 / {n} as bigint)) as created_at,
    hash(i * 7 + 1) % 100000 / 100000.0 as u1, hash(i * 7 + 2) % 100000 / 100000.0 as u2,
    hash(i * 7 + 3) % 100000 / 100000.0 as u3, hash(i * 7 + 4) % 100000 / 100000.0 as u4
from range({n}) as r(i);
create temp table base as select *, u1 < .45 as booked, u1 < .45 and u2 < .7 as visited,
    u1 < .45 and u2 >= .7 and u2 < .9 as no_show, u1 < .45 and u2 < .6 as paid from seed;
insert into leads by name select
    'crm' as source, id as lead_id, created_at, cast(created_at + interval 3 hour as date) as created_on,
    created_at as modified_at,
    created_at + to_hours(cast(72 + u3 * 400 as bigint)) as moved_at,
    case when paid then 'CONVERTED' when visited then 'VISITED' when no_show then 'NOSHOW' when booked then 'BOOKED'
        else 'JUNK' end as stage_id,
    '' as pipeline_id, cast(i % 15 as varchar) as owner_id, ['web', 'call', 'ads'][1 + i % 3] as crm_source,
    ['yandex', 'vk', 'google', null][cast(1 + hash(i) % 4 as bigint)] as utm_source,
    ['cpc', 'organic', null][cast(1 + hash(i + 5) % 3 as bigint)] as utm_medium, 'camp' || (hash(i + 9) % 40) as utm_campaign,
    'RUB' as currency, md5(cast(hash(i) % ({n} * 7 // 10) as varchar)) as customer_hash, 'b' || (i % 4) as branch,
    timestamp '2026-11-01' as seen_at, 'r1' as run_id, id as content_hash, false as is_deleted
from base order by i;
insert into leads by name select * replace (timestamp '2026-11-02' as seen_at, 'r2' as run_id)
    from leads where hash(lead_id) % 10 = 0;
insert into leads by name select * replace (timestamp '2026-11-03' as seen_at, 'r3' as run_id, true as is_deleted)
    from leads where hash(lead_id) % 1000 = 1 and stage_id <> 'CONVERTED' and seen_at < timestamp '2026-11-02';
insert into deals by name select
    'crm' as source, id as deal_id, id as lead_id, created_at + interval 1 day as created_at,
    cast(created_at + interval 27 hour as date) as created_on, created_at + to_hours(cast(90 + u3 * 400 as bigint)) as moved_at,
    'WON' as stage_id, '0' as pipeline_id, cast(1000 + u4 * 4000 as decimal(18, 2)) as amount, 'RUB' as currency,
    false as is_template, timestamp '2026-11-01' as seen_at, 'r1' as run_id, id as content_hash, false as is_deleted
from base where paid order by i;
insert into stage_changes by name select
    'crm' as source, entity, cast(row_number() over (order by moved_at, id) as varchar) as change_id, id as entity_id,
    stage_id, pipeline_id,
    moved_at, cast(moved_at + interval 3 hour as date) as moved_on,
    greatest(timestamp '2026-10-01', moved_at) as seen_at, 'r1' as run_id, id as content_hash, false as is_deleted
from (
    select 'lead' as entity, id, 'NEW' as stage_id, '' as pipeline_id, created_at as moved_at from base
    union all select 'lead', id, 'QUAL', '', created_at + to_hours(cast(u4 * 48 as bigint)) from base where u1 < .8
    union all select 'lead', id, 'BOOKED', '', created_at + to_hours(cast(u4 * 72 as bigint)) from base where booked
    union all select 'lead', id, 'VISITED', '', created_at + to_hours(cast(72 + u3 * 400 as bigint)) from base where visited
    union all select 'lead', id, 'NOSHOW', '', created_at + to_hours(cast(72 + u3 * 400 as bigint)) from base where no_show
    union all select 'deal', id, 'WON', '0', created_at + to_hours(cast(90 + u3 * 400 as bigint)) from base where paid
);
"""

# What an analyst who knows DuckDB would write for these cells. Milestones stand in the query, channels in a CASE.
ONE_QUERY = """
with live_leads as (
    select * from leads where seen_at <= $seen qualify row_number() over (partition by source, lead_id order by seen_at desc) = 1
),
live_deals as (
    select * from deals where seen_at <= $seen qualify row_number() over (partition by source, deal_id order by seen_at desc) = 1
),
changes as (
    select source, entity, entity_id, stage_id, moved_at from stage_changes where seen_at <= $seen
    qualify row_number() over (partition by source, entity, change_id order by seen_at desc) = 1
),
moves as (
    select source, entity_id as lead_id, stage_id, moved_at from changes where entity = 'lead'
    union all select source, lead_id, stage_id, moved_at from live_leads where not is_deleted
    union all select d.source, d.lead_id, c.stage_id, c.moved_at
        from changes c join live_deals d on c.entity = 'deal' and c.source = d.source and c.entity_id = d.deal_id
        where not d.is_deleted
    union all select source, lead_id, stage_id, moved_at from live_deals where not is_deleted
),
reached as (
    select source, lead_id,
        min(moved_at) filter (stage_id in ('QUAL', 'BOOKED', 'NOSHOW', 'VISITED', 'CONVERTED', 'WON')) as qualified_at,
        min(moved_at) filter (stage_id in ('BOOKED', 'NOSHOW', 'VISITED', 'CONVERTED', 'WON')) as booked_at,
        min(moved_at) filter (stage_id in ('VISITED', 'CONVERTED', 'WON')) as visited_at,
        min(moved_at) filter (stage_id = 'NOSHOW') as no_show_at,
        min(moved_at) filter (stage_id in ('CONVERTED', 'WON')) as paid_at
    from moves where moved_at <= $seen group by all
),
payments as (
    select d.source, d.lead_id, d.deal_id, any_value(d.amount) as amount, min(m.moved_at) as paid_at
    from live_deals d join (
        select source, entity_id as deal_id, stage_id, moved_at from changes where entity = 'deal'
        union all select source, deal_id, stage_id, moved_at from live_deals
    ) m using (source, deal_id)
    where not d.is_deleted and m.stage_id = 'WON' and m.moved_at <= $seen group by all
),
amounts as (
    select l.source, l.lead_id, sum(p.amount) as amount from live_leads l join payments p using (source, lead_id)
    where p.paid_at <= l.created_at + $horizon group by all
),
journeys as (
    select l.created_on, l.created_at, l.branch, l.owner_id, r.*, coalesce(a.amount, l.amount) as amount,
        case when utm_source like 'yandex%' or utm_source like 'google%' then 'Search' when utm_source = 'vk' then 'Social'
            else 'other' end as channel,
        min(visited_at) over (partition by customer_hash order by l.created_at, l.lead_id
            rows between 1 following and unbounded following) as next_visited_at
    from live_leads l left join reached r using (source, lead_id) left join amounts a using (source, lead_id)
    where not l.is_deleted
),
timed as (
    select *, visited_at <= created_at + $horizon as v, paid_at <= created_at + $horizon as p,
        booked_at <= created_at + $horizon as b, no_show_at <= created_at + $horizon as x,
        epoch(booked_at - created_at) // 60 as minutes
    from journeys where created_on >= $start and created_on < $end
)
select created_on, channel, branch, owner_id, count(*) as leads,
    count(*) filter (qualified_at <= created_at + $horizon) as qualified,
    count(*) filter (b) as booked, count(*) filter (v) as visited,
    count(*) filter (x and not coalesce(v, false)) as no_show,
    count(*) filter (p) as paid, count(*) filter (v and next_visited_at <= created_at + $horizon) as repeat_visits,
    coalesce(sum(amount) filter (p), 0) as revenue, coalesce(sum(amount * amount) filter (p), 0) as revenue_sq,
    coalesce(sum(minutes) filter (b), 0) as minutes, coalesce(sum(minutes * minutes) filter (b), 0) as minutes_sq
from timed group by all
"""

# Which column of the hand-written query each column of each metric equals.
SAME = {
    "leads": {"n": "leads"},
    "qualified": {"numerator": "qualified", "denominator": "leads"},
    "booking_conversion": {"numerator": "booked", "denominator": "leads"},
    "visit_conversion": {"numerator": "visited", "denominator": "leads"},
    "paid_conversion": {"numerator": "paid", "denominator": "leads"},
    "show_rate": {"numerator": "visited", "denominator": "booked"},
    "no_show_rate": {"numerator": "no_show"},
    "repeat_visits": {"numerator": "repeat_visits", "denominator": "visited"},
    "revenue": {"n": "paid", "total": "revenue", "total_sq": "revenue_sq"},
    "average_check": {"n": "paid", "total": "revenue", "total_sq": "revenue_sq"},
    "time_to_booking": {"n": "booked", "total": "minutes", "total_sq": "minutes_sq"},
}


def fill(path: Path, n_leads: int) -> None:
    """A warehouse with `n_leads` leads, a tenth of them in two versions, one in a thousand deleted."""
    Warehouse(f"duckdb:///{path}").migrate()
    with duckdb.connect(str(path)) as connection:
        connection.execute("set enable_progress_bar = false")
        connection.execute(FILL.format(n=n_leads))
        for table in ("leads", "deals", "stage_changes"):
            print(f"{table}: {connection.execute(f'select count(*) from {table}').fetchall()[0][0]:,} versions")


def ours(path: Path) -> dict[str, metrics.Cells]:
    with Warehouse(f"duckdb:///{path}").reading(SEEN_UNTIL) as reading:
        started = time.perf_counter()
        build_journeys(reading, stages=STAGE_RULES, channels=CHANNEL_RULES, seen_until=SEEN_UNTIL, currency="RUB")
        print(f"    journeys {time.perf_counter() - started:.2f} s", end="")
        found = {}
        for name in metrics.names():
            cells = metrics.observe(reading, name, START, END, HORIZON, MARGIN)
            assert cells is not None
            found[name] = cells
        print(f", with {len(found)} metrics {time.perf_counter() - started:.2f} s")
        return found


def one_query(path: Path) -> pd.DataFrame:
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("set enable_progress_bar = false")
        horizon = pd.Timedelta(hours=HORIZON).to_pytimedelta()
        parameters = {"seen": SEEN_UNTIL, "start": START, "end": END, "horizon": horizon}
        found: pd.DataFrame = connection.sql(ONE_QUERY, params=parameters).to_arrow_table().to_pandas()
        return found


def with_pandas(path: Path) -> pd.DataFrame:
    """read_sql and groupby; revenue and counts only, so it does less than the others."""
    from sqlalchemy import NullPool, create_engine

    engine = create_engine(f"duckdb:///{path}", poolclass=NullPool, connect_args={"read_only": True})
    versions = "source, moved_at, stage_id, seen_at, is_deleted"
    wanted = {
        "leads": f"{versions}, lead_id, created_at, created_on, owner_id, branch, utm_source, customer_hash",
        "deals": f"{versions}, deal_id, lead_id, amount",
        "stage_changes": f"{versions}, entity, change_id, entity_id",
    }
    keys = {"leads": ["source", "lead_id"], "deals": ["source", "deal_id"], "stage_changes": ["source", "entity", "change_id"]}
    leads, deals, moved = (
        _newest(pd.read_sql(f"select {columns} from {table} where seen_at <= timestamp '{SEEN_UNTIL}'", engine), keys[table])
        for table, columns in wanted.items()
    )
    of_deals = moved[moved.entity == "deal"].merge(
        deals[["source", "deal_id", "lead_id"]], left_on=["source", "entity_id"], right_on=["source", "deal_id"]
    )
    of_leads = moved[moved.entity == "lead"].rename(columns={"entity_id": "lead_id"})
    columns = ["source", "lead_id", "stage_id", "moved_at"]
    moves = pd.concat([of_leads[columns], of_deals[columns], leads[columns], deals[columns]])
    reached = {
        "qualified": ("QUAL", "BOOKED", "NOSHOW", "VISITED", "CONVERTED", "WON"),
        "booked": ("BOOKED", "NOSHOW", "VISITED", "CONVERTED", "WON"),
        "visited": ("VISITED", "CONVERTED", "WON"),
        "paid": ("CONVERTED", "WON"),
    }
    for name, stages in reached.items():
        first = moves[moves.stage_id.isin(stages)].groupby(["source", "lead_id"])["moved_at"].min().rename(f"{name}_at")
        leads = leads.join(first, on=["source", "lead_id"])
    horizon = pd.Timedelta(hours=HORIZON)
    columns = ["source", "deal_id", "stage_id", "moved_at"]
    won = pd.concat([of_deals[columns], deals[columns]])
    paid_at = won[won.stage_id == "WON"].groupby(["source", "deal_id"])["moved_at"].min().rename("paid_at")
    payments = deals.join(paid_at, on=["source", "deal_id"])
    payments = payments.merge(leads[["source", "lead_id", "created_at"]], on=["source", "lead_id"])
    payments = payments[payments.paid_at <= payments.created_at + horizon]
    amounts = payments.groupby(["source", "lead_id"])["amount"].sum()
    leads = leads.join(amounts, on=["source", "lead_id"])
    source = leads.utm_source.fillna("")
    leads["channel"] = "other"
    leads.loc[source.str.startswith("yandex") | source.str.startswith("google"), "channel"] = "Search"
    leads.loc[source == "vk", "channel"] = "Social"
    created = pd.to_datetime(leads.created_on)
    leads = leads[(created >= pd.Timestamp(START)) & (created < pd.Timestamp(END))]
    counted = leads[KEYS].assign(leads=1)
    for name in reached:
        counted[name] = (leads[f"{name}_at"] <= leads.created_at + horizon).astype(int)
    counted["revenue"] = leads.amount.where(counted.paid == 1, 0).fillna(0)
    return counted.groupby(KEYS, observed=True).sum().reset_index()


def _newest(versions: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    newest = versions.sort_values("seen_at").drop_duplicates(key, keep="last")
    return newest[~newest.is_deleted]


def frame_of(cells: metrics.Cells) -> pd.DataFrame:
    """Cells as a table by day, channel, branch, owner."""
    columns: dict[str, object] = {"created_on": pd.to_datetime(cells.day, unit="D")}
    for dimension, column in metrics.DIMENSIONS.items():
        columns[column] = pd.Series(cells.labels[dimension]).to_numpy()[cells.codes[dimension]]
    return pd.DataFrame({**columns, **cells.values}).set_index(KEYS).sort_index()


def compare(found: dict[str, metrics.Cells], query: pd.DataFrame) -> int:
    """Cells compared; AssertionError at the first that differs."""
    query = query.assign(created_on=pd.to_datetime(query.created_on)).set_index(KEYS).sort_index()
    n = 0
    for name, columns in SAME.items():
        mine = frame_of(found[name])
        for column, theirs in columns.items():
            other = query[theirs].astype(float)
            # A metric has no row where nothing was counted; the one query has a zero there.
            difference = mine[column].reindex(other.index, fill_value=0.0) - other
            assert difference.abs().max() <= 1e-6, f"{name}.{column} differs"
            assert set(mine.index) <= set(other.index)
            n += len(other)
    return n


def timed(name: str, run: Callable[[], object]) -> tuple[float, object]:
    started = time.perf_counter()
    found = run()
    elapsed = time.perf_counter() - started
    print(f"{name:12} {elapsed:6.2f} s", flush=True)
    return elapsed, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leads", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--without-pandas", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.duckdb"
        fill(path, arguments.leads)
        our_times, query_times = [], []
        for _ in range(arguments.repeat):  # in turns: other work on the machine slows both alike
            elapsed, found = timed("payback", lambda: ours(path))
            our_times.append(elapsed)
            elapsed, query = timed("one query", lambda: one_query(path))
            query_times.append(elapsed)
        our_time, query_time = min(our_times), min(query_times)
        assert isinstance(found, dict)
        assert isinstance(query, pd.DataFrame)
        print(f"equal: {compare(found, query):,} cells")
        print(f"payback / one query: {our_time / query_time:.2f} (aim: at most 2)")
        if not arguments.without_pandas:
            pandas_time, table = timed("pandas", lambda: with_pandas(path))
            assert isinstance(table, pd.DataFrame)
            assert int(table.visited.sum()) == int(query.visited.sum())
            assert abs(float(table.revenue.sum()) - float(query.revenue.sum())) < 1.0
            print(f"pandas / payback: {pandas_time / our_time:.1f} (aim: at least 5)")


if __name__ == "__main__":
    main()
