"""The main job on real bookings: prepares the hotel data set as an export file with a configuration for Payback.

    python -m bench.hotel ../shared/data/hotel/hotel_bookings_city.csv hotel
    payback --config hotel/config run --out hotel

One booking is one lead: created = arrival - lead_time, arrival = visit, No-Show and Canceled as in the data, revenue =
adr x nights, paid at departure, market segment = where it came from. The data set has no launch: the date is a placebo.
The file is what an export made on EXPORTED would have held: later outcomes have not happened yet. Bookings made before
July 2015 are left out, because the data set lists arrivals from then on and misses those that arrived earlier.
Plain facts of the kept rows go to facts.json, to compare with the report.
"""

import json
import sys
from pathlib import Path

import pandas as pd

FIRST, EXPORTED = "2015-07-01", pd.Timestamp("2017-03-01")
LAUNCH = "2016-09-05"

PAYBACK_TOML = """\
[business]
name = "City Hotel"
timezone = "Europe/Lisbon"
currency = "EUR"
language = "en"

[warehouse]
url = "duckdb:///payback.duckdb"

[sources.hotel]
kind = "files"
path = "bookings.csv"
currency = "EUR"

[sources.hotel.columns]
id = "Booking"
created = "Booked on"
stage = "Status"
source = "Market segment"
amount = "Revenue"
moved = "Status on"

[sources.hotel.milestones]
booked = "Booked on"
arrived = "Arrived on"
"no-show" = "Not arrived on"
canceled = "Canceled on"
departed = "Departed on"
"""

CHANNEL = """
[[channels]]
name = "{segment}"
crm_source = ["{folded}"]
"""

STAGES_TOML = """\
[hotel.lead]
booked = "booked"
arrived = "visited"
departed = "paid"
"check-out" = "paid"
"no-show" = "no_show"
canceled = "cancelled"
"""

LAUNCHES_TOML = f"""\
[placebo]
title = "Nothing was launched"
started_on = {LAUNCH}
margin = 0.35
horizon_days = 60

[placebo.costs]
one_off = 20000
monthly = 2000
"""


def bookings(path: Path) -> pd.DataFrame:
    """The data set as bookings with dates; the index is the row's number in the file, because it has no key of its own."""
    raw = pd.read_csv(path, na_values=["NULL", "NA"])
    month = pd.to_datetime(raw["arrival_date_month"], format="%B").dt.month
    arrival = pd.to_datetime({"year": raw["arrival_date_year"], "month": month, "day": raw["arrival_date_day_of_month"]})
    nights = raw["stays_in_weekend_nights"] + raw["stays_in_week_nights"]
    status = raw["reservation_status"]
    departure = arrival + pd.to_timedelta(nights, unit="D")
    moments = {
        "Arrived on": arrival.where(status == "Check-Out"),
        "Not arrived on": arrival.where(status == "No-Show"),
        "Canceled on": pd.to_datetime(raw["reservation_status_date"]).where(status == "Canceled"),
        "Departed on": departure.where(status == "Check-Out"),
    }
    booked_on = arrival - pd.to_timedelta(raw["lead_time"], unit="D")
    known = {name: day.where(day < EXPORTED) for name, day in moments.items()}
    latest = pd.concat(known, axis=1).max(axis=1)
    found = pd.DataFrame(
        {
            "Booking": raw.index + 1,
            "Booked on": booked_on,
            "Status": status.where(latest.notna() & (latest == pd.concat(moments, axis=1).max(axis=1)), "Booked"),
            "Status on": latest.fillna(booked_on),
            "Market segment": raw["market_segment"],
            "Revenue": (raw["adr"].clip(lower=0) * nights).round(2),
            **known,
        }
    )
    return found[(found["Booked on"] >= FIRST) & (found["Booked on"] < EXPORTED)]


def main(source: Path, folder: Path) -> None:
    """Write the export, the configuration and the facts to compare with."""
    (folder / "config").mkdir(parents=True, exist_ok=True)
    kept = bookings(source)
    kept.to_csv(folder / "bookings.csv", sep=";", index=False, date_format="%d.%m.%Y", encoding="utf-8-sig")
    segments = sorted(kept["Market segment"].dropna().unique())
    channels = "".join(CHANNEL.format(segment=segment, folded=segment.casefold()) for segment in segments)
    (folder / "config" / "payback.toml").write_text(PAYBACK_TOML + channels, encoding="utf-8")
    (folder / "config" / "stages.toml").write_text(STAGES_TOML, encoding="utf-8")
    (folder / "config" / "launches.toml").write_text(LAUNCHES_TOML, encoding="utf-8")
    (folder / ".env").write_text("PAYBACK_HASH_KEY=there-are-no-customers-in-this-file\n", encoding="utf-8")
    facts = {"rows": len(kept), "status": kept["Status"].value_counts().to_dict(), "segments": len(segments)}
    (folder / "facts.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
