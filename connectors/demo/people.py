"""Names, telephones and marketing tags of invented people, as untidy as on a real portal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FIRST = """
    Анна Мария Елена Ольга Наталья Ирина Светлана Татьяна Юлия Алёна Дарья Полина Вера Ксения Марина Алексей Иван
    Сергей Дмитрий Павел
"""
_LAST = """
    Иванова Петрова Смирнова Кузнецова Попова Васильева Соколова Михайлова Новикова Фёдорова Морозова Волкова
    Лебедева Козлова Степанова Орлова Андреева Макарова Никитина Захарова
"""
FIRST_NAMES, LAST_NAMES = _FIRST.split(), _LAST.split()
_PHONE_FORMS = (
    "+7 ({0}) {1}-{2}-{3}",
    "8 {0} {1} {2} {3}",
    "7{0}{1}{2}{3}",
    "+7{0}{1}{2}{3}",
    "8({0}){1}-{2}-{3}",
    "{0}{1}{2}{3}",
)
# A prime above 10^7 keeps telephones of different people different.
_SPREAD, _SPAN = 7919, 10_000_019


@dataclass(frozen=True, slots=True)
class Channel:
    """Where leads come from: CRM source, tags an advertisement sets ("" = none), share of leads, booking rate."""

    source: str | None
    utm_source: str
    utm_medium: str
    share: float
    booking_rate: float


CHANNELS = (
    Channel("WEB", "yandex", "cpc", 0.27, 0.27),
    Channel("UC_VK0001", "vk", "social", 0.17, 0.21),
    Channel("1", "2gis", "maps", 0.14, 0.36),
    Channel("UC_TG0001", "telegram", "post", 0.09, 0.25),
    Channel("CALL", "", "", 0.16, 0.42),
    Channel("RECOMMENDATION", "", "", 0.07, 0.55),
    Channel("WEBFORM", "yandex", "organic", 0.08, 0.30),
    Channel(None, "", "", 0.02, 0.20),
)
CALLS = 4  # the channel of people who telephoned: it always has a number
CAMPAIGNS = ("brand", "haircut_moscow", "colour-spring", "маникюр_акция", "retarget")
# What people and broken links write into a tag: index 0 stands for "as it should be".
_DIRTY: tuple[Callable[[str], str], ...] = (
    lambda tag: tag,
    str.upper,
    str.capitalize,
    lambda tag: f" {tag} ",
    lambda tag: f"{tag}%20ads",
    lambda tag: "Яндекс Директ" if tag == "yandex" else "ВКонтакте",
    lambda tag: "<script>alert(1)</script>",
    lambda tag: '=HYPERLINK("http://example.com/?x=1","цена")',
    lambda tag: tag + "_" + "x" * 590,
    lambda tag: "{utm_source}",
)
MISSING_UTM_SHARE, DIRTY_UTM_SHARE = 0.15, 0.04


def phone(person: int, form: int) -> str:
    """The telephone of a person, in one of the ways people type it."""
    digits = f"9{(person * _SPREAD + 101) % _SPAN:08d}"
    area, rest = digits[:3], digits[3:] + "0"
    return _PHONE_FORMS[form % len(_PHONE_FORMS)].format(area, rest[:3], rest[3:5], rest[5:7])


def first_name(person: int) -> str:
    return FIRST_NAMES[person * 31 % len(FIRST_NAMES)]


def last_name(person: int) -> str:
    return LAST_NAMES[person * 17 % len(LAST_NAMES)]


def draw_tags(rng: np.random.Generator, channel: NDArray[np.int64]) -> tuple[NDArray[np.int16], list[str | None]]:
    """`UTM_SOURCE` of leads of these channels as (codes, labels): clean, dirty, "" or null."""
    labels: list[str | None] = [None, ""]
    places: dict[str, int] = {}
    table = np.zeros((len(CHANNELS), len(_DIRTY)), np.int16)
    for row, each in enumerate(CHANNELS):
        for column, spoil in enumerate(_DIRTY):
            if each.utm_source:
                tag = spoil(each.utm_source)
                if tag not in places:
                    places[tag] = len(labels)
                    labels.append(tag)
                table[row, column] = places[tag]
    n = len(channel)
    spoiled = np.where(rng.random(n) < DIRTY_UTM_SHARE, rng.integers(1, len(_DIRTY), n), 0)
    codes = table[channel, spoiled]
    codes[rng.random(n) < MISSING_UTM_SHARE] = 0
    codes[(codes == 0) & (rng.random(n) < 0.3)] = 1
    return codes, labels


def draw_people(rng: np.random.Generator, n: int, per_day: float) -> NDArray[np.int64]:
    """Who wrote each of n leads, in order of time: 15 % come back after weeks, 3 % write twice within a day or so."""
    person = np.arange(n)
    kind = rng.random(n)
    weeks_back = np.minimum(np.arange(n), (per_day * 7 * rng.uniform(3, 40, n)).astype(np.int64))
    hours_back = np.minimum(np.arange(n), 1 + (per_day * rng.random(n)).astype(np.int64))
    back = np.where(kind < 0.15, weeks_back, np.where(kind < 0.18, hours_back, 0))
    for lead in np.flatnonzero(back).tolist():
        person[lead] = person[lead - back[lead]]
    return person
