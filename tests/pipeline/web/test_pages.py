"""What stands on the pages, for whom, and what they do not do: over real HTTP."""

import html
import json
import re
from urllib.parse import quote

import pytest
import requests

from pipeline.reports import render
from pipeline.warehouse import Warehouse
from tests.pipeline.web.conftest import Site
from tests.pipeline.web.dashboard_made import HOSTILE, LAUNCHES

pytestmark = pytest.mark.xdist_group("dashboard")
MONEY = re.compile(r"₽|ROI|Прибыль|Окупа|Profit|Payback<")


def get(session: requests.Session, site: Site, path: str) -> requests.Response:
    return session.get(site.url + path, timeout=30, allow_redirects=False)


def keys(page: str) -> list[str]:
    """Of the snapshots in the tables of a page, the newest first."""
    return list(dict.fromkeys(re.findall(r"/snapshots/([0-9a-f]{16})", page.partition("<tbody>")[2])))


def test_overview_shows_every_launch_measured_or_not(site: Site, owner: requests.Session) -> None:
    page = get(owner, site, "/").text
    for name in LAUNCHES:
        assert f'href="/launches/{quote(name)}"' in page
    assert page.count("Ещё не измерен") == 1
    assert page.count('class="spark"') == 4  # two weeks at least make a line; the old ones hold no estimate
    assert "больше нет в настройках" in page
    assert "Окупается" in page
    assert "Всё работает" in page


def test_history_has_every_week_in_chart_and_table(site: Site, owner: requests.Session) -> None:
    for name, n_weeks in (("assistant", 12), ("stable", 60), ("young", 1)):
        page = get(owner, site, f"/launches/{name}").text
        assert page.count('class="week"') == 2 * n_weeks  # a narrow and a wide drawing
        assert page.count("<tr><th scope=\"row\">") == n_weeks
        assert len(keys(page)) == n_weeks
    empty = get(owner, site, "/launches/none-yet")
    assert empty.status_code == 200
    assert "Ещё не измерен" in empty.text
    for series in ("profit", "effect", "trust", "nonsense"):
        assert get(owner, site, f"/launches/assistant?series={series}").status_code == 200


def test_a_snapshot_is_the_stored_document_in_the_report_s_own_words(site: Site, owner: requests.Session) -> None:
    first = keys(get(owner, site, "/launches/assistant").text)[-1]
    address = f"/launches/assistant/snapshots/{first}"
    stored = get(owner, site, f"{address}/document.json")
    document = json.loads(stored.text)
    kept = Warehouse(site.settings.warehouse_url.reveal()).snapshot("assistant", document["as_of"])
    assert stored.content == kept
    own = render(document, "html", "ru").decode()
    assert get(owner, site, f"{address}/report.html").text == own
    shown = get(owner, site, address).text
    strip = re.search(r"<nav.*?</nav>", shown, re.DOTALL)
    assert strip is not None
    assert shown.replace(strip[0], "") == own
    policy = get(owner, site, address).headers["content-security-policy"]
    assert "script" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "attachment" in stored.headers["content-disposition"]


def test_comparison_sets_two_side_by_side_with_differences(site: Site, owner: requests.Session) -> None:
    newest, *_, oldest = keys(get(owner, site, "/launches/assistant").text)
    page = html.unescape(get(owner, site, f"/launches/assistant/compare?older={oldest}&newer={newest}&lang=en").text)
    assert "−\u2060₽300" in page  # no line ends between the two
    assert "81" in page
    assert "+22" in page  # trust of 59 and of 81
    assert "Leads in the warehouse: 1,195, then 1,800." in page
    assert "corrected and late data" in page  # the newer document's own account
    turned = html.unescape(get(owner, site, f"/launches/assistant/compare?older={newest}&newer={oldest}&lang=en").text)
    assert turned.split("<section>", 1)[1] == page.split("<section>", 1)[1]  # the older one stands first, whoever asked how
    same = get(owner, site, f"/launches/assistant/compare?older={newest}&newer={newest}&lang=en").text
    assert "The configuration, the program" in same
    owner.cookies.pop("payback-lang", None)
    for query in ("", f"?older={newest}", f"?older={newest}&newer=../../etc", "?older=0000000000000000&newer=1111111111111111"):
        assert get(owner, site, f"/launches/assistant/compare{query}").status_code == 404
    other = keys(get(owner, site, "/launches/stable").text)[0]
    assert get(owner, site, f"/launches/assistant/compare?older={newest}&newer={other}").status_code == 404


def test_documents_of_older_programs_are_named_and_kept(site: Site, owner: requests.Session) -> None:
    page = get(owner, site, "/launches/old")
    assert page.status_code == 200
    for key in keys(page.text):
        shown = get(owner, site, f"/launches/old/snapshots/{key}")
        assert shown.status_code == 200
        assert "document.json" in shown.text
        assert get(owner, site, f"/launches/old/snapshots/{key}/document.json").status_code == 200
    assert "0.0.1" in get(owner, site, f"/launches/old/snapshots/{keys(page.text)[-1]}").text


def test_data_quality_has_findings_points_and_unclosed_visits(site: Site, owner: requests.Session) -> None:
    page = get(owner, site, "/quality").text
    assert "У 41 заявки не указан источник" in page
    assert "минус 12,0" in page
    assert "Анна &lt;b&gt;Петрова&lt;/b&gt;" in page
    assert "a_check_of_tomorrow" in page


def test_operations_staff_see_no_money(site: Site) -> None:
    session = site.signed_in("oleg")
    assert get(session, site, "/").headers["location"] == "/sync"
    key = keys(get(site.signed_in("anna"), site, "/launches/assistant").text)[0]
    snapshot = f"/launches/assistant/snapshots/{key}"
    for path in ("/launches/assistant", "/launches/assistant/compare", snapshot, f"{snapshot}/document.json", "/launches/none"):
        refused = get(session, site, path)
        assert refused.status_code == 403
        assert not MONEY.search(refused.text)
    for path in ("/sync", "/quality"):
        shown = get(session, site, path)
        assert shown.status_code == 200
        assert not MONEY.search(shown.text)
        assert "/snapshots/" not in shown.text
        assert "/launches/" not in shown.text


def test_nothing_but_sessions_can_be_changed(site: Site, owner: requests.Session) -> None:
    for path in ("/", "/sync", "/quality", "/launches/assistant", "/metrics", "/healthz"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert owner.request(method, site.url + path, timeout=20).status_code in (403, 405)
        if path not in ("/metrics",):
            head = owner.head(site.url + path, timeout=20)
            assert head.status_code == 200
            assert head.content == b""
    assert get(owner, site, "/sign-out").status_code in (404, 405)


def test_names_and_keys_lead_nowhere_else(site: Site, owner: requests.Session) -> None:
    wrong = ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e", "nobody", "' or 1=1 --", "assistant%00", "💥"]
    for name in wrong:
        assert get(owner, site, f"/launches/{name}").status_code in (404, 303)
        assert get(owner, site, f"/launches/assistant/snapshots/{name}").status_code == 404
    key = keys(get(owner, site, "/launches/assistant").text)[0]
    assert get(owner, site, f"/launches/stable/snapshots/{key}").status_code == 404  # of another launch
    assert get(owner, site, f"/launches/assistant/snapshots/{key}/..%2f..%2fpayback.toml").status_code == 404
    for name in ("../page.py", "..%2fpage.py", "base.html.j2", ""):
        assert get(owner, site, f"/assets/{name}").status_code in (303, 404)


def test_texts_of_the_crm_stay_text(site: Site, owner: requests.Session) -> None:
    for path in ("/", "/quality", "/launches/hostile", "/launches/<script>alert(1)</script>", "/sync?lang=<script>"):
        page = get(owner, site, path).text
        assert "<img" not in page
        assert len(re.findall(r"<script", page)) <= 1  # our own, by address
        assert "alert(2)</script>" not in page
        assert "\u202e" not in page
        assert "}}49" not in page
    assert html.escape(HOSTILE.replace("\u202e", "")[:40]) in get(owner, site, "/").text


def test_every_answer_says_what_a_browser_may_do(site: Site, owner: requests.Session) -> None:
    for path in ("/", "/sign-in", "/launches/assistant", "/nowhere"):
        headers = get(owner, site, path).headers
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
    style = re.search(r'href="(/assets/dashboard.css\?v=\w+)"', get(owner, site, "/").text)
    assert style is not None
    assert "immutable" in get(owner, site, style[1]).headers["cache-control"]


def test_the_language_is_asked_for_once_and_remembered(site: Site) -> None:
    session = site.signed_in("anna")
    assert '<html lang="ru">' in get(session, site, "/").text
    assert '<html lang="en">' in get(session, site, "/?lang=en").text
    assert '<html lang="en">' in get(session, site, "/quality").text
    assert '<html lang="en">' in get(session, site, "/sync?lang=xx").text


def test_pages_are_quick_once_read(site: Site, owner: requests.Session) -> None:
    for path in ("/", "/launches/stable", "/quality"):
        get(owner, site, path)
        assert get(owner, site, path).elapsed.total_seconds() < 1.0


def test_a_programme_stands_among_the_launches_and_its_parts_sum_to_the_whole(site: Site, owner: requests.Session) -> None:
    cards = re.findall(r'<section class="card">(.*?)</section>', get(owner, site, "/").text, re.DOTALL)
    (card,) = [one for one in cards if 'href="/launches/ai"' in one]
    assert "программа из 3 модулей" in card
    assert "<script>" not in card
    assert "не отделить" in card
    (whole,) = re.findall(r"<dt>Прибыль всей программы</dt><dd>([^<]*)<small>вероятно от", card)
    parts = [amount(one) for one in re.findall(r"<b>([^<]*₽)</b>", card)]
    assert sum(parts) == amount(whole) > 0
    page = get(owner, site, "/launches/ai").text
    assert [amount(one) for one in re.findall(r"<b>([^<]*₽)</b>", page)] == parts
    assert "Графика по неделям и сравнения снимков у программы нет" in page


def stored_keys(page: str) -> list[str]:
    """Of every snapshot that a page leads to, the newest first."""
    return list(dict.fromkeys(re.findall(r"/snapshots/([0-9a-f]{16})", page)))


def amount(text: str) -> int:
    return int(re.sub(r"[^\d-]", "", text.replace("−", "-")))


def test_every_stored_report_of_a_programme_opens_as_it_was(site: Site, owner: requests.Session) -> None:
    newer, older = stored_keys(get(owner, site, "/launches/ai").text)
    for key in (newer, older):
        snapshot = f"/launches/ai/snapshots/{key}"
        stored = get(owner, site, f"{snapshot}/document.json").content
        assert get(owner, site, f"{snapshot}/report.html").content == render(json.loads(stored), "html", "ru")
        page = get(owner, site, snapshot)
        assert page.status_code == 200
        assert "sha256-" in page.headers["content-security-policy"]
        assert "К программе" in page.text
    compared = get(owner, site, f"/launches/ai/compare?older={older}&newer={newer}")
    assert compared.status_code == 200
    assert "Программы не сравниваются" in compared.text
    assert get(site.signed_in("oleg"), site, f"/launches/ai/snapshots/{newer}").status_code == 403


def test_a_name_that_was_a_programme_s_and_a_document_of_tomorrow(site: Site, owner: requests.Session) -> None:
    page = get(owner, site, "/launches/hostile").text
    assert page.count('<tr><th scope="row">') == 3  # the launch that has the name now, and its own weeks only
    newest, *_, old = stored_keys(page)
    assert "Отчёт о программе" in get(owner, site, f"/launches/hostile/snapshots/{old}").text.replace("\u00a0", " ")
    compared = get(owner, site, f"/launches/hostile/compare?older={old}&newer={newest}")
    assert "Программы не сравниваются" in compared.text
    unread = get(owner, site, "/launches/unread")
    assert unread.status_code == 200
    (key,) = stored_keys(unread.text)
    assert get(owner, site, f"/launches/unread/snapshots/{key}").status_code == 200
    assert "unread" not in get(owner, site, "/quality").text
