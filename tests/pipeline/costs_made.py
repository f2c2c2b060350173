"""A salon whose launch has costs of every sort: by name, shared, ads; as configuration files, and as settings read from them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pipeline.settings import Settings, load_settings
from tests.pipeline.salon_made import CHANNELS, FIRST, LAUNCHED, STAGES

MAIN = '[business]\ntimezone = "UTC"\ncurrency = "RUB"\n[sources.crm]\nkind = "files"\npath = "x.csv"\n'
LAUNCHES = f"""
[assistant]
started_on = {LAUNCHED}
margin = 0.5
horizon_days = 14
[assistant.costs]
hour_rate = 300
licence = {{ monthly = "1 500" }}
set_up = {{ once = 3000 }}
integration = {{ once = "2000..9000" }}
training_hours = {{ once = 10 }}
content = 0
telephony = "not counted"
messages = {{ per_lead = "2,50" }}
vat = {{ rate = "20 %", on = ["licence", "set_up"] }}

[ads]
started_on = {LAUNCHED}
margin = 0.5
horizon_days = 14
[ads.scope]
channels = ["Search"]
[ads.costs]
ad_spend = ["Search"]
"""
SHARED = """
[shared.crm]
title = "CRM <b>"
monthly = "1000.01"
key = "equal"
launches = ["assistant", "ads"]
"""
SPEND = '[ad_spend]\nfiles = ["spend/*.csv"]\n[ad_spend.months.Social]\n2026-05 = 3100\n'


def write_config(
    home: Path, *, launches: str = LAUNCHES, costs: str = SHARED + SPEND, benchmarks: str = "", main: str = MAIN,
    lines: str | None = None,
) -> Path:  # fmt: skip
    """A config folder in `home`, and the CSV of ad spend it names: 100 a day on search from the first lead on."""
    folder = home / "config"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"payback": main, "launches": launches, "costs": costs, "benchmarks": benchmarks}.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    (home / "spend").mkdir(exist_ok=True)
    days = (FIRST + timedelta(days=n) for n in range(7 * 30))
    told = "\n".join(f"{day:%d.%m.%Y};Search;100,00" for day in days)
    text = "\ufeffДата;Канал;Расход\n" + (told if lines is None else lines) + "\n"
    (home / "spend" / "direct.csv").write_text(text, encoding="utf-8")
    return folder


def read(folder: Path) -> Settings:
    """The settings in the folder, with the stages and channels of the salon."""
    return replace(load_settings(folder, {"PAYBACK_HASH_KEY": "k" * 16}), stages=STAGES, channels=CHANNELS)
