"""Published panels as export files for Payback: GeoLift's walkthrough and CausalImpact's comparison data.

    python -m bench.panels geolift ../shared/data/geolift/GeoLift_Test.csv geolift
    python -m bench.panels comparison ../shared/data/causalimpact/comparison_data.csv comparison
    payback --config geolift/config sync
    payback --config geolift/config measure launch

Both data sets give a number a day for each place. Payback counts leads, so `UNIT` of that number become one lead that
visited on its day; the place is the branch, and the launch is in the treated branches only. What is lost by rounding
carries over to the next day, so the sums stay.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

PAYBACK_TOML = """\
[business]
name = "{name}"
timezone = "UTC"
currency = "USD"
language = "en"

[warehouse]
url = "duckdb:///payback.duckdb"

[sources.panel]
kind = "files"
path = "leads.csv"
currency = "USD"

[sources.panel.columns]
id = "ID"
created = "Created"
stage = "Status"
branch = "Place"
moved = "Created"
"""

LAUNCHES_TOML = """\
[launch]
title = "{name}"
started_on = {started_on}
horizon_days = 1

[launch.scope]
branches = [{branches}]
"""


@dataclass(frozen=True)
class Published:
    """One data set: how many of its units make a lead, when it started, and where."""

    name: str
    unit: float
    started_on: str
    treated: tuple[str, ...]


PUBLISHED = {
    "geolift": Published("GeoLift walkthrough", 50.0, "2021-04-01", ("chicago", "portland")),
    "comparison": Published("CausalImpact comparison", 1000.0, "2019-07-15", ("CHANGED",)),
}


def long_form(kind: str, path: Path) -> pd.DataFrame:
    """Columns day, place, y."""
    raw = pd.read_csv(path)
    if kind == "geolift":
        return raw.rename(columns={"date": "day", "location": "place", "Y": "y"})[["day", "place", "y"]]
    return raw.melt(id_vars="DATE", var_name="place", value_name="y").rename(columns={"DATE": "day"})[["day", "place", "y"]]


def leads(panel: pd.DataFrame, unit: float) -> pd.DataFrame:
    """One row a lead."""
    panel = panel.sort_values(["place", "day"])
    so_far = panel.groupby("place")["y"].cumsum() / unit
    n = np.floor(so_far + 0.5).groupby(panel["place"]).diff().fillna(np.floor(so_far + 0.5)).astype(int)
    rows = panel.loc[panel.index.repeat(n), ["day", "place"]].sort_values(["day", "place"])
    ids = np.arange(1, len(rows) + 1)
    return pd.DataFrame({"ID": ids, "Created": rows["day"].to_numpy(), "Status": "visited", "Place": rows["place"].to_numpy()})


def main(kind: str, source: Path, folder: Path) -> None:
    """Write the export and the configuration."""
    what = PUBLISHED[kind]
    (folder / "config").mkdir(parents=True, exist_ok=True)
    found = leads(long_form(kind, source), what.unit)
    found.to_csv(folder / "leads.csv", sep=";", index=False, encoding="utf-8-sig")
    branches = ", ".join(f'"{place}"' for place in what.treated)
    (folder / "config" / "payback.toml").write_text(PAYBACK_TOML.format(name=what.name), encoding="utf-8")
    (folder / "config" / "stages.toml").write_text('[panel.lead]\nvisited = "visited"\n', encoding="utf-8")
    launches = LAUNCHES_TOML.format(name=what.name, started_on=what.started_on, branches=branches)
    (folder / "config" / "launches.toml").write_text(launches, encoding="utf-8")
    (folder / ".env").write_text("PAYBACK_HASH_KEY=there-are-no-customers-in-this-file\n", encoding="utf-8")
    print(f"{len(found)} leads, one for every {what.unit:g} units")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
