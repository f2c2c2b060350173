"""Who paid, when, how much: the purchase history of the customers of a launch's scope, as known at one time."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.queries import load
from pipeline.repeats import History

if TYPE_CHECKING:
    from pipeline.warehouse import Reading

_EPOCH = datetime(1970, 1, 1)


def read_history(reading: "Reading", known_on: date, zone: tzinfo, horizon_hours: float) -> History:
    """Payments dated before the local day `known_on`, by customer. Needs the temporary tables of `build_journeys`.

    Payments of one customer on one local day are one visit. What the first lead paid within `horizon_hours` is one sale, the
    first: the launch's effect has that money already. Raises WarehouseError.
    """
    known_until = datetime.combine(known_on, time(), zone).astimezone(UTC).replace(tzinfo=None)
    rows = reading.columns(load("customer_payments"), {"known_until": known_until, "horizon_hours": horizon_hours})
    customer = _codes(rows, ("customer_source", "customer"))
    journey = _codes(rows, ("source", "entity", "journey_id"))
    is_known = np.asarray(rows.column("customer").is_valid().to_numpy(), dtype=np.bool_)
    created = rows.column("created_at").to_numpy().astype("datetime64[us]").astype(np.int64) / 3.6e9
    hours = np.asarray(created + rows.column("paid_hours").to_numpy().astype(np.float64), dtype=np.float64)
    amount = np.nan_to_num(rows.column("amount").to_numpy(zero_copy_only=False).astype(np.float64))
    within = rows.column("is_at_first_sale").to_numpy(zero_copy_only=False).astype(np.bool_)
    day = local_days(hours, zone)
    order = np.lexsort((amount, journey, hours, customer))
    order = order[is_known[order]]
    code, day, journey, within, amount = customer[order], day[order], journey[order], within[order], amount[order]
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]]) if code.size else np.zeros(0, dtype=np.int64)
    first = np.repeat(starts, np.diff(np.r_[starts, code.size]))
    # Later payments of the first lead belong to the first sale as long as the effect's horizon lasts.
    day = np.where((journey == journey[first]) & within, day[first], day) if code.size else day
    return History.of(code, day, amount, (known_on - _EPOCH.date()).days, int((~is_known).sum()), is_of_lead=within)


def _codes(rows: pa.Table, names: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """One number for each distinct combination of texts."""
    codes = np.zeros(rows.num_rows, dtype=np.int64)
    for name in names:
        encoded = rows.column(name).fill_null("").combine_chunks().dictionary_encode()
        words = encoded.dictionary.to_pylist()
        rank = np.empty(len(words) + 1, dtype=np.int64)  # by the texts, not by the order in which a database gave them
        rank[sorted(range(len(words)), key=words.__getitem__)] = np.arange(len(words))
        found = codes * (len(words) + 1) + rank[encoded.indices.to_numpy()]
        codes = np.unique(found, return_inverse=True)[1].astype(np.int64)
    return codes


def local_days(hours: npt.NDArray[np.float64], zone: tzinfo) -> npt.NDArray[np.int64]:
    """Local day (since 1970) of UTC hours since 1970; a zone's clock changes at full hours only, or nearly."""
    if not hours.size:
        return np.zeros(0, dtype=np.int64)
    full, place = np.unique(np.floor(hours).astype(np.int64), return_inverse=True)
    days, of_day = np.unique(full // 24, return_inverse=True)
    start, end = _offsets(days * 24, zone), _offsets(days * 24 + 24, zone)
    offset = start[of_day]
    changes = (start != end)[of_day]  # clocks change within this day: look at each of its hours
    offset[changes] = _offsets(full[changes], zone)
    return np.asarray(np.floor((hours + offset[place]) / 24), dtype=np.int64)


def _offsets(hours: npt.NDArray[np.int64], zone: tzinfo) -> npt.NDArray[np.float64]:
    """Hours that local time is ahead of UTC at these hours since 1970."""
    moments = ((_EPOCH + timedelta(hours=int(hour))).replace(tzinfo=UTC).astimezone(zone) for hour in hours)
    return np.array([moment.utcoffset().total_seconds() / 3600 for moment in moments])  # type: ignore[union-attr]  # aware
