"""What changes or breaks while nobody looks: the configuration, a night that cannot begin, Payback's own files."""

import random
from functools import partial

import pytest

from pipeline import alerts, lease
from pipeline.current import Current
from pipeline.errors import Exit
from pipeline.logbook import note_not_begun
from pipeline.run import run_nightly
from pipeline.schedule import Nights, timetable
from tests.pipeline.shop_made import Letterbox, Shop
from tests.variants import first


def note(current: Current, error: Exception) -> None:
    note_not_begun(current(), error)


def test_a_source_added_later_is_alarmed_once_and_over_when_it_is_removed(shop: Shop, box: Letterbox) -> None:
    """The chore of `serve` sees the configuration as it is now, whatever it was at the start."""
    current = Current(shop.settings)
    old = current()
    config = shop.home / "config" / "payback.toml"
    before = config.read_text(encoding="utf-8")
    assert shop.payback("sync") == Exit.OK
    config.write_text(before + '\n[sources.new]\nkind = "files"\npath = "nowhere"\n', encoding="utf-8")
    alerts.look(current())
    assert box.messages() == []  # nobody has asked it yet
    assert shop.payback("sync") == Exit.PARTIAL
    for _ in range(2):
        alerts.look(current())
        alerts.look(old)  # a run that began before it was added
    assert [message.split("\n")[1].split("(")[0] for message in box.messages()] == ["Источник «new» не удалось прочитать "]
    config.write_text(before + "\n[sources", encoding="utf-8")
    alerts.look(current())  # the last good one, which does not say that it was removed
    assert len(box.messages()) == 1
    config.write_text(before, encoding="utf-8")
    for _ in range(2):
        alerts.look(current())
    (over,) = box.messages()[1:]
    assert "«new» больше нет в настройках" in over


def test_an_address_changed_in_the_env_file_is_the_one_that_is_told(shop: Shop, box: Letterbox) -> None:
    other = Letterbox()
    try:
        written = shop.home / ".env"
        written.write_text(f"ALERT={shop.environ.pop('ALERT')}\n", encoding="utf-8")
        current = Current(shop.settings)
        assert shop.payback("sync") == Exit.OK
        written.write_text(f"ALERT=json://127.0.0.1:{other.port}/new-secret-path\n", encoding="utf-8")
        assert any("new-secret-path" in secret.reveal() for secret in current().secrets())
        shop.lose_exports()
        shop.payback("sync")
        alerts.look(current())
        assert (len(box.messages()), len(other.messages())) == (0, 1)
    finally:
        other.close()


def test_a_night_that_cannot_begin_is_told_once_and_over_when_one_begins(shop: Shop, box: Letterbox) -> None:
    config = shop.home / "config" / "payback.toml"
    before = config.read_text(encoding="utf-8")
    current = Current(shop.settings)
    assert shop.payback("run") == Exit.OK
    config.write_text(before + "\n[sources", encoding="utf-8")
    table = timetable(current())
    for _ in range(2):  # every quarter of an hour
        nights = Nights(table, lambda moment: [], lambda: run_nightly(shop.settings()), partial(note, current))
        assert not nights.look()
        alerts.look(current())
    (told,) = box.messages()
    assert "Ночной обмен не может начаться" in told
    assert "not readable as TOML" in told
    config.write_text(before, encoding="utf-8")
    assert shop.payback("status") == Exit.FINDINGS
    assert shop.payback("sync") == Exit.OK
    assert len(box.messages()) == 1  # that was no night
    assert shop.payback("run") == Exit.OK
    assert "Ночной обмен снова начался" in box.messages()[1]


@pytest.mark.parametrize("name", first(1, ["payback-state.sqlite3", lease.RUNS, lease.ALERTS]))
def test_a_damaged_file_of_our_own_is_set_aside_and_told(
    shop: Shop, box: Letterbox, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shop.payback("sync") == Exit.OK
    noise = random.Random(5).randbytes(8000)
    (shop.home / name).write_bytes(noise)
    assert shop.payback("sync") == Exit.OK
    assert f"error file_damaged file={name}" in capsys.readouterr().err
    aside = shop.home / f"{name}.damaged"
    assert aside.read_bytes() == noise
    (told,) = box.messages()
    assert f"Файл {name} оказался повреждён" in told
    assert shop.payback("status") == Exit.FINDINGS
    aside.unlink()
    assert shop.payback("sync") == Exit.OK
    assert "убран" in box.messages()[1]
    assert shop.payback("status") == Exit.OK


def test_a_page_damaged_in_the_middle_is_found(shop: Shop) -> None:
    assert shop.payback("sync") == Exit.OK
    file = shop.home / "payback-state.sqlite3"
    content = bytearray(file.read_bytes())
    content[4096:] = random.Random(6).randbytes(len(content) - 4096)  # all but the page that says what is where
    file.write_bytes(content)
    codes = [shop.payback("sync") for _ in range(2)]
    assert codes[1] == Exit.OK
    assert codes[0] in (Exit.OK, Exit.WAREHOUSE)
