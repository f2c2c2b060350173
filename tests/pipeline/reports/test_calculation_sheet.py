"""The workbook of a plan: recalculated by LibreOffice it says what was computed, also after somebody changed a yellow cell."""

import io
import re
import zipfile
from pathlib import Path

import openpyxl
import pytest

from pipeline.calculator import FLAT, compute
from pipeline.reports.calculation_sheet import render_plan
from pipeline.reports.numbers import numbers_of
from pipeline.reports.words import LANGUAGES
from pipeline.scenarios import load, names, read_scenario
from tests.hostile import TEXTS
from tests.libreoffice import recalculate

CONFIG = Path(__file__).parents[3] / "config"
SUMMER = (0.7, 0.7, 0.9, 1.0, 1.1, 1.2, 1.3, 1.3, 1.1, 1.0, 0.9, 0.8)
UNCERTAIN = {"conversion_after": "12..18%", "check": "1200..1500..2000", "margin": "60%", "ramp_months": 3, "start_month": 5}
pytestmark = pytest.mark.xdist_group("reports")


def outcome(name, season=FLAT, **given):
    scenario = load(name, CONFIG)
    return compute(scenario, scenario.read_inputs({**scenario.example, **given}, {}, "RUB"), season=season)


def written(found, language="ru"):
    return render_plan(found, numbers_of(language, "RUB"))


def opened(content, **options):
    return openpyxl.load_workbook(io.BytesIO(content), **options)


def changed(content, **values):
    """The workbook with other inputs, as somebody would type them; None empties the cell."""
    workbook = opened(content)
    page = workbook.worksheets[0]
    for row in page.iter_rows(max_row=60):
        if row[2].value in values:
            row[1].value = values[row[2].value]
    saved = io.BytesIO()
    workbook.save(saved)
    return saved.getvalue()


@pytest.fixture(scope="module")
def files():
    """name -> (bytes, the plan that its recalculated cells must show)."""
    found = {name: (written(plan), plan) for name in names(CONFIG) for plan in [outcome(name)]}
    uncertain = outcome("salon-assistant", SUMMER, **UNCERTAIN)
    found |= {f"uncertain {language}": (written(uncertain, language), uncertain) for language in LANGUAGES}
    never = outcome("salon-assistant", conversion_after="5%")
    found["never"] = (written(never), never)
    base = written(outcome("salon-assistant"))
    found["other inputs"] = (
        changed(base, check=2000, months=24, ramp_months=6, margin=0.4, hours_a_month=3, hour_rate=500, discount_rate=0.1),
        outcome(
            "salon-assistant",
            check=2000,
            months=24,
            ramp_months=6,
            margin="40%",
            hours_a_month=3,
            hour_rate=500,
            discount_rate="10%",
        ),
    )
    no_cost = load("salon-assistant", CONFIG)
    given = {name: value for name, value in no_cost.example.items() if "cost" not in name}
    plan = compute(no_cost, no_cost.read_inputs(given, {}, "RUB"))
    found["emptied costs"] = (changed(base, one_off_cost=None, monthly_cost=None), plan)
    return found


@pytest.fixture(scope="module")
def recalculated(files, tmp_path_factory):
    """All of them, without any cached value, in one start of LibreOffice."""
    found = recalculate({name: content for name, (content, _) in files.items()}, tmp_path_factory.mktemp("plans"))
    return {name: opened(content, data_only=True) for name, content in found.items()}


def formula_cells(content):
    """(sheet number, cell) of every formula."""
    return [(n, cell.coordinate) for n, page in enumerate(opened(content).worksheets) for row in page.iter_rows() for cell in row
            if cell.data_type == "f"]  # fmt: skip


def test_recalculated_cells_are_those_computed_here(files, recalculated):
    for name, (_, plan) in files.items():
        content = written(plan, name.split()[1] if name.startswith("uncertain") else "ru")
        stated = opened(content, data_only=True)
        cells = formula_cells(content)
        assert len(cells) > 300
        for n, where in cells:
            wanted, got = stated.worksheets[n][where].value, recalculated[name].worksheets[n][where].value
            title = stated.worksheets[n].cell(stated.worksheets[n][where].row, 1).value
            if str(title).startswith("IRR") and wanted != "нет данных" and wanted > 100:
                continue  # an IRR of more than 10 000 percent, which Calc may give up on
            if isinstance(wanted, int | float):
                assert got == pytest.approx(wanted, rel=1e-6, abs=1e-6), (name, n, where)
            else:
                assert (got or "") == (wanted or ""), (name, n, where)


def test_every_formula_is_guarded_and_no_cell_is_an_error(files, recalculated):
    for name, (content, _) in files.items():
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sheets = "".join(archive.read(part).decode() for part in archive.namelist() if part.startswith("xl/worksheets/"))
        formulas = re.findall("<f>(.*?)</f>", sheets)
        assert formulas
        assert all(formula.startswith("IFERROR(") for formula in formulas), name
        errors = [cell for page in recalculated[name] for row in page.iter_rows() for cell in row if cell.data_type == "e"]
        assert not errors, name


def test_texts_of_a_hostile_scenario_start_no_formula(tmp_path):
    texts = [text for text in TEXTS.values() if "\x00" not in text and len(text) < 1000]
    lines = []
    for n, text in enumerate(texts):
        body = (
            "".join(letter for letter in text if letter.isprintable())
            .encode("utf-8", "ignore")
            .decode()
            .replace("\\", "\\\\")
            .replace('"', '\\"')
        )
        lines += [f"[lines.line_{n}]", 'kind = "number"', f'formula = "size + {n}"', f'label = {{ ru = "{body}" }}']
    head = [
        "on = 2026-11-22",
        'title = { ru = "=1+1" }',
        'about = { ru = "@SUM(1)" }',
        "[inputs.size]",
        'kind = "money"',
        'label = { ru = "=cmd" }',
    ]
    path = tmp_path / "hostile.toml"
    path.write_text("\n".join([*head, *lines, "[plan]", 'revenue_a_month = "size"']), encoding="utf-8")
    scenario = read_scenario(path)
    content = written(compute(scenario, scenario.read_inputs({"size": 5}, {}, "RUB")))
    cells = [cell for page in opened(content) for row in page.iter_rows() for cell in row]
    assert all(cell.value.startswith("=IFERROR(") for cell in cells if cell.data_type == "f")
    attacks = [cell for cell in cells if cell.data_type == "s" and cell.value.startswith(("=", "+", "@"))]
    assert len(attacks) >= 5
    assert all(cell.quotePrefix for cell in attacks)


def test_the_same_plan_gives_the_same_bytes():
    assert written(outcome("crm")) == written(outcome("crm"))


def test_ranges_and_tornado_have_a_sheet(files):
    page = opened(files["uncertain en"][0]).worksheets[2]
    texts = [row[0].value for row in page.iter_rows()]
    assert "Net benefit" in texts
    assert "What matters most for the net" in texts
    assert texts[texts.index("What matters most for the net") + 3].startswith("Share of leads that become customers, after")
