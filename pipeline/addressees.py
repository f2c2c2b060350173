"""Who is behind a recipient of the state file: the same chat, mailbox, robot, dialog or webhook, whatever lets Payback in there.

A key is the keyed hash of the place (`subscribers.place_of`), so a new token or password leaves it as it is. Earlier programs
took the whole address: a recipient they knew keeps that key, or what they sent would be sent again.
"""

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

from pipeline.deliveries import Delivery
from pipeline.settings import Settings
from pipeline.state import State
from pipeline.subscribers import Subscriber, have_launch_in_common, place_of

REPEATABLE = ("bitrix24", "webhook")


class Addressees:
    """The `[[deliveries]]` of a configuration by the keys of the state file. Reads it once; raises WarehouseError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with State(settings.home).reading() as connection:
            self._known = dict(connection.execute("select place, recipient from recipients").fetchall())
            earlier = {row["recipient"] for row in connection.execute("select recipient from subscribers")}
        placed: dict[str, str] = {}
        for one in settings.deliveries:
            if place_of(one):
                key = self._key(one, earlier)
                others = [other for other in settings.deliveries if placed.get(other.name) == key]
                # Two webhooks that once had one address; at one place there are none that get the same launch.
                is_free = not any(have_launch_in_common(one, other) for other in others)
                placed[one.name] = key if is_free else hashed(settings, place_of(one))
        taken = set(placed.values())
        self._keys = {one.name: placed.get(one.name) or self._likely(one, taken) for one in settings.deliveries}

    def __iter__(self) -> Iterator[tuple[str, Subscriber]]:
        """Each subscriber with its key; several that get different launches at one place have the same."""
        return ((self._keys[one.name], one) for one in self._settings.deliveries)

    @property
    def keys(self) -> set[str]:
        """The keys of all of them."""
        return set(self._keys.values())

    @property
    def repeatable(self) -> set[str]:
        """Those whose way can tell a repeat."""
        return {key for key, one in self if one.way in REPEATABLE}

    def key_of(self, one: Subscriber) -> str:
        """What the state file knows a subscriber by."""
        return self._keys[one.name]

    def of(self, one: Delivery) -> Subscriber | None:
        """Who gets that delivery now; None when nobody is configured for it any more."""
        return next((who for key, who in self if key == one.recipient and who.wants(one.launch)), None)

    def renewed(self, one: Delivery) -> tuple[str, str] | None:
        """Recipient and name by now of a delivery that failed, where the address is another one than it was tried at."""
        who = self.of(one)
        if who is not None:
            # Earlier programs wrote no address down: their key was its hash.
            tried = (self.address(who),) if one.address else (self._old(who), hashed(self._settings, place_of(who)))
            is_new = (one.address or one.recipient) not in tried
            return (one.recipient, who.name) if is_new and (one.n_tries or one.state == "given up") else None
        if one.recipient in self.keys:  # only the launch is not wanted there any more
            return None
        return next(((key, who.name) for key, who in self if who.name == one.name and who.wants(one.launch)), None)

    def address(self, one: Subscriber) -> str:
        """A keyed hash of all that a delivery is tried with: another one after a new token, password or path."""
        if one.bitrix24 is None:
            return hashed(self._settings, f"address {one.to.reveal() if one.to else ''}")
        options: Any = next(source.options for source in self._settings.sources if source.name == one.bitrix24.source)
        return hashed(self._settings, f"address {place_of(one)} {options.webhook.reveal()}")

    def remember(self) -> list[tuple[str, str]]:
        """Write down which key belongs to which place. Keys of earlier programs that now are another one's, with that one."""
        rows, adopted = [], []
        for key, one in self:
            place = place_of(one)
            rows += [(hashed(self._settings, place), key)] if place else []
            rows.append((self._named(one), key))
            if one.to and self._old(one) != key:
                adopted.append((self._old(one), key))
        if all(self._known.get(place) == key for place, key in rows):
            return []
        with State(self._settings.home).writing() as connection:
            connection.executemany("insert or replace into recipients (place, recipient) values (?, ?)", rows)
        return adopted

    def _likely(self, one: Subscriber, taken: set[str]) -> str:
        """Without a place (a variable that is missing tonight, an address with a slip) it is who had the name, unless somebody
        else is there now."""
        known = str(self._known.get(self._named(one), ""))
        return known if known and known not in taken else self._named(one)

    def _key(self, one: Subscriber, earlier: set[str]) -> str:
        key = hashed(self._settings, place_of(one))
        if key in self._known:
            return str(self._known[key])
        is_another = self._old(one) in self._known.values()
        return self._old(one) if self._old(one) in earlier and not is_another else key

    def _old(self, one: Subscriber) -> str:
        if one.bitrix24 is not None:
            return hashed(self._settings, f"bitrix24 dialog {one.bitrix24.source} {one.bitrix24.dialog_id}")
        return hashed(self._settings, one.to.reveal() if one.to else "")

    def _named(self, one: Subscriber) -> str:
        return hashed(self._settings, f"name {one.name}")


def hashed(settings: Settings, text: str) -> str:
    """16 hex digits that tell nothing of the text."""
    return hmac.new(settings.hash_key.reveal().encode(), text.encode(), hashlib.sha256).hexdigest()[:16]
