"""From a change in the portal by its event to the warehouse, real parts all the way; and what happens when one of them fails."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from bench import hooks as flood
from connectors.demo import ALWAYS, DemoPortal, Fault, PortalOptions
from connectors.demo.outgoing import MEMBER_ID
from connectors.errors import PayloadError
from connectors.secrets import Secret
from pipeline.errors import WarehouseError
from pipeline.fetch import fetch_pending, inbox_of
from pipeline.inbox import Heard, Inbox
from pipeline.init import Answers, write_config
from pipeline.lease import one_run
from pipeline.queries import load
from pipeline.settings import Settings, load_settings
from pipeline.state import State
from pipeline.warehouse import Warehouse
from pipeline.web import hooks
from tests.pipeline.conftest import Office, build_salon
from tests.pipeline.test_hooks import serving

TOKEN = "f0e1d2c3b4a5968778695a4b3c2d1e0f"
SMALL = {"weeks": 10, "weeks_after": 3, "leads_per_week": 20.0}
LIVE = """
with versions as (
    select *, row_number() over (partition by source, {key} order by seen_at desc) as place from {table}
)
select {key}, content_hash from versions where place = 1 and not is_deleted
"""
KEYS = {"leads": "lead_id", "deals": "deal_id", "stage_changes": "entity, change_id, entity_id"}


class House:
    """An office whose portal sends events to a running receiver."""

    def __init__(self, office: Office, receiver: str, settings: Settings) -> None:
        self.office, self.portal, self.settings = office, office.portal, settings
        self.inbox: Inbox = inbox_of(settings)
        self.address = f"{receiver}/hooks/bitrix24/portal"
        self.portal.outgoing.turn_on(self.address, TOKEN)

    def told(self) -> None:
        """All events so far were sent."""
        assert self.portal.outgoing.wait()

    def n_waiting(self) -> int:
        return sum(one.n_waiting for one in self.inbox.standings())

    def rows(self, url: str) -> dict[str, set[tuple[object, ...]]]:
        """What a warehouse knows to be there: leads, deals, and the moves of those."""
        with Warehouse(url).reading() as reading:
            found = {
                table: {tuple(row) for row in reading.rows(LIVE.format(table=table, key=key))} for table, key in KEYS.items()
            }
        there = {("lead", row[0]) for row in found["leads"]} | {("deal", row[0]) for row in found["deals"]}
        found["stage_changes"] = {row for row in found["stage_changes"] if (row[0], row[2]) in there}
        return found

    def wanted(self, tmp_path: Path) -> dict[str, set[tuple[object, ...]]]:
        """What a sync into an empty warehouse finds."""
        fresh = f"duckdb:///{tmp_path / 'fresh.duckdb'}"
        assert Office(self.portal, self.office.folder, fresh).payback("sync") == 0
        return self.rows(fresh)

    def stage(self, lead: int) -> str:
        """The stage of a lead as the warehouse knows it."""
        with Warehouse(self.office.warehouse_url).reading() as reading:
            newest = "select stage_id from leads where lead_id = :lead order by seen_at desc limit 1"
            return str(reading.rows(newest, {"lead": str(lead)})[0][0])

    def move(self) -> int:
        """Move a lead in the portal to the stage JUNK; its event is answered when this returns."""
        lead = next(key for key in ids(self, "lead") if self.stage(key) != "JUNK")
        self.portal.update_lead(lead, STATUS_ID="JUNK")
        self.told()
        assert self.n_waiting() == 1
        return lead


def configure(office: Office) -> Settings:
    """The office's configuration, with the token of the portal's outgoing webhook."""
    path = office.config / "payback.toml"
    text = path.read_text(encoding="utf-8")
    assert text.count('kind = "bitrix24"\n') == 1
    added = f'kind = "bitrix24"\napplication_token = "env:TOKEN"\nmember_id = "{MEMBER_ID}"\n'
    path.write_text(text.replace('kind = "bitrix24"\n', added), encoding="utf-8")
    with (office.folder / ".env").open("a") as env:
        env.write(f"TOKEN={TOKEN}\n")
    return load_settings(office.config, {"PAYBACK_WAREHOUSE": office.warehouse_url})


@contextmanager
def opened(folder: Path, url: str) -> Iterator[House]:
    """A house with a synced warehouse."""
    with DemoPortal(build_salon(**SMALL), PortalOptions(has_limits=False)) as portal:
        answers = Answers(name="Salon", profile="salon", timezone="Europe/Moscow", webhook=Secret(portal.webhook_url))
        write_config(folder / "config", answers, {})
        (folder / "config" / "launches.toml").unlink()  # nothing is measured here
        office = Office(portal, folder, url)
        settings = configure(office)
        with serving(Starlette(routes=list(hooks.routes(lambda: settings, CollectorRegistry())))) as receiver:
            assert office.payback("sync") == 0
            yield House(office, receiver, settings)


@pytest.fixture(scope="module")
def one_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with opened(folder, f"duckdb:///{folder / 'payback.duckdb'}") as house:
        yield house


@pytest.fixture
def house(one_house: House) -> Iterator[House]:
    """A house that many tests share: everything works and nothing waits when a test begins, and when it has ended."""
    yield one_house
    one_house.portal.heal()
    assert one_house.n_waiting() == 0


def ids(house: House, entity: str) -> list[int]:
    """Rows that the warehouse could read."""
    return sorted(int(str(row[0])) for row in house.rows(house.office.warehouse_url)[f"{entity}s"])


def change_much(house: House) -> None:
    """New, changed, moved and deleted rows, some of them several times."""
    portal, leads, deals = house.portal, ids(house, "lead"), ids(house, "deal")
    for key in leads[:8]:
        portal.update_lead(key, STATUS_ID="IN_PROCESS")
        portal.update_lead(key, STATUS_ID="JUNK", OPPORTUNITY="100.00")
    for key in deals[:5]:
        portal.update_deal(key, STAGE_ID="WON")
    new = [portal.insert_lead(SOURCE_ID="CALL", UTM_SOURCE="vk") for _ in range(4)]
    portal.insert_deal(LEAD_ID=str(new[0]))
    portal.delete_lead(leads[20])
    portal.delete_deal(deals[12])
    portal.delete_lead(new[1])
    portal.insert("contact")  # of no interest: answered all the same


def test_what_changed_in_the_portal_is_in_the_warehouse_after_its_events(warehouse_url: str, tmp_path: Path) -> None:
    with opened(tmp_path, warehouse_url) as house:
        change_much(house)
        house.told()
        assert house.portal.outgoing.n_answered == 8 * 2 + 5 + 4 + 1 + 3 + 1
        wanted, known = house.wanted(tmp_path), house.rows(warehouse_url)
        heard = Warehouse(warehouse_url).last_seen("portal")
        assert all(known[table] != wanted[table] for table in KEYS)
        (fetched,) = fetch_pending(house.settings)
        assert (fetched.source, fetched.error, house.n_waiting()) == ("portal", None, 0)
        assert fetched.n_rows == 8 + 5 + 4 + 1 + 2  # rows, not events
        assert house.rows(warehouse_url) == wanted
        # A source whose nights fail must not look fresh because its events still arrive.
        assert Warehouse(warehouse_url).last_seen("portal") == heard
        with Warehouse(warehouse_url).reading() as reading:
            assert reading.rows(load("coverage"), {"seen_until": reading.seen_until})[0].synced_at == heard
        before = Warehouse(warehouse_url).n_versions("leads")
        assert house.office.payback("sync") == 0  # the night finds nothing more
        assert Warehouse(warehouse_url).n_versions("leads") == before


def test_events_that_got_lost_are_made_good_by_the_night(house: House, tmp_path: Path) -> None:
    house.portal.outgoing.turn_on("http://127.0.0.1:9/nobody", TOKEN)
    change_much(house)
    house.told()
    house.portal.outgoing.turn_on(house.address, TOKEN)
    assert fetch_pending(house.settings) == []
    assert house.office.payback("sync") == 0
    assert house.rows(house.office.warehouse_url) == house.wanted(tmp_path)


def test_a_crash_between_the_commit_and_the_mark_fetches_again_and_doubles_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead = house.move()
    with monkeypatch.context() as patch:
        patch.setattr(Inbox, "done", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fetch_pending(house.settings)
    stored = Warehouse(house.office.warehouse_url)
    n_versions = stored.n_versions("leads")
    assert (house.stage(lead), house.n_waiting()) == ("JUNK", 1)
    assert [one.error for one in fetch_pending(house.settings)] == [None]
    assert (stored.n_versions("leads"), house.n_waiting()) == (n_versions, 0)


def test_while_a_run_is_under_way_events_wait(house: House) -> None:
    lead = house.move()
    with one_run(house.settings.home, "night", "night-1"):
        assert fetch_pending(house.settings) == []
    assert house.n_waiting() == 1
    fetch_pending(house.settings)
    assert (house.stage(lead), house.n_waiting()) == ("JUNK", 0)


def test_told_to_stop_it_fetches_nothing_and_forgets_nothing(house: House) -> None:
    lead = house.move()
    assert [one.error for one in fetch_pending(house.settings, stop=lambda: True)] == [None]
    assert (house.stage(lead) != "JUNK", house.n_waiting()) == (True, 1)
    fetch_pending(house.settings)
    assert (house.stage(lead), house.n_waiting()) == ("JUNK", 0)


def test_a_portal_that_refuses_us_is_left_alone_for_a_while_and_its_rows_wait(house: House) -> None:
    lead = house.move()
    house.portal.fail(Fault("*", "credentials", times=ALWAYS))
    (failed,) = fetch_pending(house.settings)
    assert house.portal.options.secret not in str(failed.error)
    assert "INVALID_CREDENTIALS" in str(failed.error)
    assert fetch_pending(house.settings) == []  # it rests
    assert house.n_waiting() == 1
    house.portal.heal()
    awake(house)
    assert [one.error for one in fetch_pending(house.settings)] == [None]
    assert house.stage(lead) == "JUNK"


def awake(house: House) -> None:
    """End the pause of the source."""
    with State(house.settings.home).writing() as connection:
        connection.execute("update inbox_sources set not_before = ''")


def test_rows_our_reader_never_understands_are_left_to_the_night(house: House) -> None:
    lead = house.move()
    house.portal.fail(Fault("crm.lead.list", "ignore_filter", times=ALWAYS))
    for n_left in (1, 1, 0):
        (failed,) = fetch_pending(house.settings)
        assert isinstance(failed.error, PayloadError)
        assert house.n_waiting() == n_left
        awake(house)
    house.portal.heal()
    assert house.office.payback("sync") == 0
    assert house.stage(lead) == "JUNK"


def test_a_warehouse_that_is_away_lets_events_wait(house: House) -> None:
    house.move()
    away = load_settings(house.office.config, {"PAYBACK_WAREHOUSE": "postgresql://nobody@127.0.0.1:9/away"})
    (failed,) = fetch_pending(away)
    assert isinstance(failed.error, WarehouseError)
    assert house.n_waiting() == 1
    awake(house)
    assert [one.error for one in fetch_pending(house.settings)] == [None]


def test_before_the_first_sync_events_make_the_warehouse_and_the_sync_completes_it(house: House, tmp_path: Path) -> None:
    url = f"duckdb:///{tmp_path / 'first.duckdb'}"
    house.move()
    fetch_pending(load_settings(house.office.config, {"PAYBACK_WAREHOUSE": url}))
    assert [len(rows) for rows in house.rows(url).values()][:2] == [1, 0]
    assert Office(house.portal, house.office.folder, url).payback("sync") == 0
    assert house.rows(url) == house.wanted(tmp_path)


def test_rows_of_a_source_that_is_not_configured_are_never_fetched(house: House) -> None:
    house.inbox.hear([Heard("gone", "leads", 5)])
    n_requests = house.portal.counters()["requests"]
    assert fetch_pending(house.settings) == []
    assert house.portal.counters()["requests"] == n_requests


# --- payback serve ------------------------------------------------------------------------------------------------------


def test_serve_receives_an_event_and_fetches_the_row(house: House) -> None:
    home, url = house.office.folder, house.office.warehouse_url
    environ = {**os.environ, "PYTHONPATH": str(flood.ROOT), "PAYBACK_WAREHOUSE": url}
    with flood.serving(home, environ) as (_, port):
        house.portal.outgoing.turn_on(f"http://127.0.0.1:{port}/hooks/bitrix24/portal", TOKEN)
        n_answered = house.portal.outgoing.n_answered
        new = house.portal.insert_lead(SOURCE_ID="CALL")
        house.told()
        assert house.portal.outgoing.n_answered == n_answered + 1
        deadline = time.monotonic() + 60.0
        while time.monotonic() < deadline and (house.n_waiting() or not is_known(url, new)):
            time.sleep(0.5)
    house.portal.outgoing.turn_on(house.address, TOKEN)
    assert is_known(url, new)


def is_known(url: str, lead: int) -> bool:
    with Warehouse(url).reading() as reading:
        return bool(reading.rows("select 1 from leads where lead_id = :lead", {"lead": str(lead)}))


def test_what_a_killed_server_answered_with_200_is_in_the_inbox(tmp_path: Path) -> None:
    rows = flood.events(400, seed=3)
    with flood.serving(tmp_path, flood.write_config(tmp_path)) as (process, port):
        sent = asyncio.run(flood.send_and_kill(process, port, rows, rate=200.0))
    assert 20 < sent.statuses[200] < len(rows)  # it was killed in the middle
    assert sent.rows <= flood.stored(tmp_path)
