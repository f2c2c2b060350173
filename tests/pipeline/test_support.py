"""Support from an export to the reports, with figures counted by hand (`support_made` tells the shop), on both databases."""

import copy
import json
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from pipeline.cli import main
from pipeline.errors import Exit
from pipeline.explain import explain
from pipeline.reports import render
from pipeline.reports.words import LANGUAGES
from pipeline.warehouse import Warehouse
from tests.pipeline.support_made import LAUNCHES, phone, write_shop
from tests.pipeline.test_explain import plain_numbers, wrong_lines
from tests.variants import first

N_WEEKS = 10  # on each side
POOL = """
[bot.efficiency]
baselines = { first_reply = 15 }
[bot.efficiency.actions.sale]
stages = ["оплачено"]
outcome = "paid"
"""
SUPPORT_BY_HAND = (  # group separators and percent signs left out
    "`20000 / 50 = 400.0000`", "`30000 / 50 = 600.0000`", "`40 − 0.0000 × 80 = 40.00`", "`40.00 × 6.00 / 60 = 4.0000`",
    "`4.0000 × 500.00 = 2000.00`", "`1000.00 × 7 × 10 / 30.4375 = 2299.79`", "`7000.00 − 2299.79 = 4700.21`",
    "`4700.21 / 2299.79 = 204.375", "`90 / 10 = 9.0000`", "`5.0000 − 10.0000 = −5.0000`",
)  # fmt: skip


class Shop:
    """The shop's folder with a warehouse."""

    def __init__(self, folder: Path, url: str, capsys: pytest.CaptureFixture[str], **options: Any) -> None:
        self.config, self.url, self._capsys = write_shop(folder, **options), url, capsys

    def run(self, *arguments: str, expected: int = Exit.OK) -> str:
        code = main(["--config", str(self.config), *arguments], {"PAYBACK_WAREHOUSE": self.url})
        out, err = self._capsys.readouterr()
        assert code == expected, err
        return out

    def measured(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("measure", "bot", "--json"))
        return found


@pytest.fixture
def opened(tmp_path: Path, warehouse_url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., Shop]:
    """opened(...) -> a shop whose exports have been read."""

    def make(**options: Any) -> Shop:
        shop = Shop(tmp_path / "shop", warehouse_url, capsys, **options)
        shop.run("sync")
        return shop

    return make


def test_a_shop_counted_by_hand(opened: Callable[..., Shop]) -> None:
    shop = opened(launches=LAUNCHES + POOL)
    document = shop.measured()
    found = document["support"]
    assert {side: found["weeks"][side]["n"] for side in ("pre", "post")} == {"pre": N_WEEKS, "post": N_WEEKS}
    assert found["n_requests"] == 22 * 9
    metrics = found["metrics"]

    def sums(name: str) -> dict[str, tuple[float, float]]:
        sides = {side: metrics[name][side] for side in ("pre", "post")}
        return {side: (values["numerator"] / N_WEEKS, values["denominator"] / N_WEEKS) for side, values in sides.items()}

    assert (metrics["requests"]["pre"]["n"], metrics["requests"]["post"]["n"]) == (90, 90)
    assert sums("sla_share") == {"pre": (8, 9), "post": (8, 9)}  # half an hour is in time where an hour was promised
    assert sums("bot_share") == {"pre": (0, 8), "post": (4, 8)}
    assert sums("csat") == {"pre": (1, 2), "post": (1, 2)}
    assert sums("dialogue_conversion") == {"pre": (2, 6), "post": (3, 6)}  # a second letter is no second dialogue
    assert sums("returned") == {"pre": (2, 5), "post": (3, 5)}
    assert (metrics["nps"]["pre"]["value"], metrics["nps"]["pre"]["n"]) == (0, 20)
    assert metrics["nps"]["changes"]["value"]["estimate"] == pytest.approx(0, abs=0.02)
    reply = metrics["first_reply"]
    assert (reply["pre"]["median"], reply["post"]["median"]) == (10, 5)
    assert (reply["post"]["p90"], reply["post"]["n"], reply["post"]["n_open"]) == (None, 90, 10)  # one of nine waits for ever
    assert reply["changes"]["median"] == {"estimate": -5, "low": -5, "high": -5}
    revenue = metrics["returned_revenue"]
    assert (revenue["pre"]["total"], revenue["post"]["total"]) == (20_000, 30_000)
    assert (revenue["pre"]["value"], revenue["post"]["value"]) == (400, 600)

    retained, automation, money = found["retained"], found["automation"], found["money"]
    assert (retained["n_dialogues"], retained["revenue"]) == (50, 30_000)
    gained = retained["incremental_revenue"]
    assert gained["low"] < 10_000 < gained["high"]  # 200 more a dialogue, 50 dialogues
    assert gained["estimate"] == pytest.approx(10_000, rel=0.1)
    assert retained["profit"]["estimate"] == pytest.approx(gained["estimate"] / 2)
    assert (automation["n_closed"], automation["n_beyond"], automation["hours"]) == (40, 40, pytest.approx(4))
    assert automation["saving"] == pytest.approx(2_000)
    cost = 1_000 * 70 / 30.4375
    assert money["cost"] == pytest.approx(cost)
    for end in ("estimate", "low", "high"):  # the parts sum to the total, and the total makes the ROI
        assert money["benefit"][end] == pytest.approx(retained["profit"][end] + 2_000)
        assert money["net"][end] == pytest.approx(money["benefit"][end] - cost)
        assert money["roi"][end] == pytest.approx(money["net"][end] / cost)
    assert money["not_counted"] == ["cost_one_off", "cost_per_request"]
    explained(document)
    # Its list names the present stage only: nothing of what needs a history is counted, and that is said.
    assert document["efficiency"]["metrics"].keys() == {"first_reply"}
    for language, words in (("ru", "История стадий неизвестна"), ("en", "stage history is not known"), ("zh", "阶段历史未知")):
        assert words in render(document, "html", language).decode()
        assert words in explain(document, language)


def explained(document: dict[str, Any]) -> None:
    """The account leads from the counts to the ROI and through each action window, and its arithmetic can be done again."""
    for language in LANGUAGES:
        account = explain(document, language)
        assert wrong_lines(account, language) == []
        lines = [plain_numbers(line, language) for line in account.splitlines()]
        for arithmetic in SUPPORT_BY_HAND:
            assert any(arithmetic in line.replace("%", "").replace("\u00a0", "") for line in lines), (language, arithmetic)
        assert not re.search(r"\bNone\b|\bnan\b|\{\w+\}", account)
    assert "- Baseline: 15 min" in explain(document, "en").replace("\u00a0", " ")
    changes: list[Callable[[Any], None]] = [
        lambda found: found["retained"]["incremental_revenue"].update(low=5e5),
        lambda found: found["retained"]["profit"].update(estimate=1.0),
        lambda found: found["automation"].update(n_beyond=41.0),
        lambda found: found["automation"].update(saving=1.0),
        lambda found: found["money"].update(cost=9.0),
        lambda found: found["money"]["roi"].update(high=9.0),
        lambda found: found["metrics"]["sla_share"]["post"].update(numerator=7.0),
        lambda found: found["metrics"]["first_reply"]["changes"]["median"].update(estimate=7.0),
    ]
    for n, change in enumerate(changes):
        wrong = copy.deepcopy(document)
        change(wrong["support"])
        assert wrong_lines(explain(wrong, "en"), "en"), n


@pytest.mark.parametrize("engine", ["duckdb"])
def test_it_never_enters_the_launchs_money(opened: Callable[..., Shop], engine: str) -> None:
    shop = opened()
    with_support = shop.measured()
    (shop.config / "launches.toml").write_text(LAUNCHES.partition("[bot.support]")[0], encoding="utf-8")
    without_terms = shop.measured()
    assert without_terms["support"]["money"]["missing"] == "cost_not_given"
    assert without_terms["support"]["automation"]["missing"] == "minutes_missing"
    assert "sla_share" not in without_terms["support"]["metrics"]  # nothing was promised
    for key in ("money", "claims", "contributions", "verdict", "trust"):
        assert with_support[key] == without_terms[key]


def test_a_shop_without_requests_has_no_figures_of_support(opened: Callable[..., Shop]) -> None:
    shop = opened(requests=False)
    document = shop.measured()
    assert not {"support", "efficiency"} & document.keys()
    assert "efficiency" not in document["launch"]
    for language in ("ru", "en", "zh"):
        page = render(document, "html", language).decode()
        assert not {"Поддержка", "Support", "客户支持"} & set(re.findall(r"<h2[^>]*>([^<]+)</h2>", page))
        words = {"ru": "ни одного обращения не прочитано", "en": "no request was read", "zh": "没有读到任何请求"}
        assert words[language] in page  # the terms of support are there, and what is missing is told


@pytest.mark.parametrize("engine", ["duckdb"])
def test_an_erased_customer_takes_their_requests_along_and_stays_away(opened: Callable[..., Shop], engine: str) -> None:
    shop = opened()
    assert shop.measured()["support"]["n_requests"] == 198
    shop.run("erase", "--phone", phone(0, 0), "--yes")
    assert shop.measured()["support"]["n_requests"] == 196  # two letters
    export = shop.config.parent / "exports" / "requests.csv"
    export.write_text(export.read_text(encoding="utf-8-sig") + "\n", encoding="utf-8")  # another file: read again
    shop.run("sync")
    assert shop.measured()["support"]["n_requests"] == 196
    assert Warehouse(shop.url).n_versions("support_requests") == 196


@pytest.mark.thorough
@pytest.mark.parametrize("engine", ["duckdb"])
def test_every_report_tells_it_in_every_language(opened: Callable[..., Shop], engine: str) -> None:
    shop = opened(launches=LAUNCHES + '[bot.efficiency]\nowners = { first_reply = "Анна" }\nbaselines = { first_reply = 15 }\n')
    document = shop.measured()
    figure = document["efficiency"]["metrics"]["first_reply"]
    assert (figure["owner"], figure["baseline"]) == ("Анна", {"value": 15, "from": "config"})
    titles = {"ru": ("Поддержка", "Эффективность"), "en": ("Support", "Efficiency"), "zh": ("客户支持", "资金之外的效率")}
    for language, words in titles.items():
        for kind in ("html", "terminal"):
            text = render(document, kind, language).decode()
            assert all(word in text for word in words)
            assert render(document, kind, language).decode() == text
    assert render(document, "xlsx", "ru") == render(document, "xlsx", "ru")
    book = openpyxl.load_workbook(BytesIO(render(document, "xlsx", "ru")))
    cells = {row[0].value: [cell.value for cell in row] for row in book["Поддержка"].iter_rows() if row[0].value}
    assert cells["Довольные клиенты (CSAT)"][3:5] == [0.5, 0.5]
    assert cells["Время до первого ответа: медиана"][1:6] == ["минуты", None, 10, 5, -5]
    pool = {row[0].value: [cell.value for cell in row] for row in book["Эффективность"].iter_rows() if row[0].value}
    assert pool["Время до первого ответа: медиана"][2] == 15
    assert pool["Время до первого ответа: медиана"][9] == "Анна"


@pytest.mark.parametrize("engine", ["duckdb"])
@pytest.mark.parametrize(
    ("change", "missing"),
    first(1, [  # from a file to the document; the money itself: test_support_money
        (("monthly = 1000", ""), "cost_not_given"),
        (("monthly = 1000", "monthly = 0"), "cost_zero"),
        (("margin = 0.5", ""), None),
        (("is_saved_cash = true", ""), None),
    ]),
)
def test_what_is_not_given_is_said_and_not_taken_as_zero(
    opened: Callable[..., Shop], engine: str, change: tuple[str, str], missing: str | None
) -> None:
    found = opened(launches=LAUNCHES.replace(*change)).measured()["support"]
    assert found["money"]["missing"] == missing
    assert (found["money"]["roi"] is None) == (missing is not None)
    left_out = {"margin = 0.5": "retained", "is_saved_cash = true": "automation_capacity"}.get(change[0])
    assert left_out is None or left_out in found["money"]["not_counted"]


@pytest.mark.parametrize("engine", ["duckdb"])
@pytest.mark.parametrize(
    ("weeks", "missing", "has_baseline"), [(range(13, 24), "no_pre", False), (range(2, 12), "no_post", True)], ids=("post", "pre")
)
def test_requests_of_one_side_alone_are_observed_and_nothing_is_compared(
    opened: Callable[..., Shop], engine: str, weeks: range, missing: str, has_baseline: bool
) -> None:
    found = opened(weeks=weeks).measured()["support"]
    assert found["retained"]["missing"] == missing
    assert found["automation"]["has_baseline"] == has_baseline
    assert all(not metric["changes"] for metric in found["metrics"].values())
    side = "pre" if missing == "no_pre" else "post"
    assert found["weeks"][side]["n"] == 0
    assert found["metrics"]["first_reply"][side] == {"median": None, "p90": None, "n": 0, "n_open": 0}
    if missing == "no_pre":  # what could be counted is: all that the bot closed, in cash
        assert found["automation"]["n_beyond"] == 4 * found["weeks"]["post"]["n"]
        assert found["money"]["roi"]["low"] == found["money"]["roi"]["high"]
    else:
        assert found["money"]["roi"] is None


@pytest.mark.parametrize("engine", ["duckdb"])
def test_a_priority_without_a_promise_is_told_and_left_out(opened: Callable[..., Shop], engine: str) -> None:
    found = opened(launches=LAUNCHES.replace(', "*" = 15', "")).measured()["support"]
    assert found["n_unpromised"] == 22 * 8
    assert found["metrics"]["sla_share"]["pre"]["denominator"] == N_WEEKS


@pytest.mark.parametrize("engine", ["duckdb"])
def test_terms_nobody_can_mean_are_refused(opened: Callable[..., Shop], engine: str) -> None:
    shop = opened()
    for wrong, told in (("monthly = -1", "not negative"), ("return_days = 0", "from 1 to 366"), ("minute = 5", "did you mean")):
        terms = LAUNCHES.replace("monthly = 1000", wrong)
        (shop.config / "launches.toml").write_text(terms, encoding="utf-8")
        code = main(["--config", str(shop.config), "measure", "bot"], {"PAYBACK_WAREHOUSE": shop.url})
        assert code == Exit.CONFIG
        assert told in shop._capsys.readouterr().err


@pytest.mark.parametrize("engine", ["duckdb"])
def test_names_that_no_request_and_no_record_has_are_told_with_the_nearest(opened: Callable[..., Shop], engine: str) -> None:
    terms = LAUNCHES.replace('"Высокий" = 60', '"Высокй" = 60') + 'channels = ["Телеграм", "Telegramm", "Чат", " ЧАТ "]\n'
    shop = opened(launches=terms + '[bot.efficiency.actions.reminder]\nstages = ["оплаченно", "оплачено", "<b>zzzz</b>"]\n')
    document = shop.measured()
    told = {(one["code"], one["subject"]): one for one in document["trust"]["findings"]}
    details = {key: one["detail"] for key, one in told.items()}
    assert {key: detail for key, detail in details.items() if key[0].endswith("_unseen")} == {
        ("support_channel_unseen", "Телеграм"): {"known": "telegram, чат"},
        ("support_channel_unseen", "Telegramm"): {"nearest": "telegram"},
        ("support_priority_unseen", "Высокй"): {"nearest": "высокий"},
        ("action_stage_unseen", "оплаченно"): {"nearest": "оплачено"},
        ("action_stage_unseen", "<b>zzzz</b>"): {"known": "новая, оплачено"},
    }
    assert all(one["points"] == 0 for key, one in told.items() if key[0].endswith("_unseen"))
    for language, words in (("ru", "возможно, это: telegram"), ("en", "perhaps: telegram"), ("zh", "可能是：telegram")):
        page = render(document, "html", language).decode()
        assert words in page
        assert "Telegramm" in page
        assert "<b>zzzz" not in page
    (shop.config / "launches.toml").write_text(LAUNCHES + 'channels = ["Telegramm"]\n', encoding="utf-8")
    assert "bot: support_channel_unseen 'Telegramm': 1 (nearest telegram)" in shop.run("check", expected=Exit.FINDINGS)
