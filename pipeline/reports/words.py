"""The words of everything people read: message catalogues (locale/<language>/<subject>.po), read at run time.

A message has a short key (`verdict.pays`) in every catalogue. What a SQL file says of itself (title, definition) is English
already and is its own key; a catalogue may translate it.
"""

import gettext
from collections.abc import Iterable, Mapping
from functools import cache
from io import BytesIO
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from connectors.text import clean_name, cut
from pipeline.languages import FOLDER, LANGUAGES

TEXT_LIMIT = 80
# Names the journeys give where the CRM has none.
NAMELESS = ("unknown", "other")


class Words:
    """The messages of one language."""

    def __init__(self, language: str, translations: gettext.NullTranslations, names: Mapping[str, str] | None = None) -> None:
        self.language = language
        self._translations = translations
        self._names = names or {}

    def calling(self, names: Mapping[str, str]) -> "Words":
        """The same words with a business's own names in place of some messages (and English texts); these are not formatted."""
        return Words(self.language, self._translations, names)

    def has(self, key: str) -> bool:
        """Whether the catalogue has this key, with plural forms or without."""
        if key in self._names:
            return True
        return self._translations.gettext(key) != key or self._translations.ngettext(key, key, 1) != key

    def say(self, key: str, /, **figures: str) -> str:
        """A message with its figures, which are formatted already. Raises KeyError for an unknown key or a missing figure."""
        if key in self._names:
            return self._names[key]
        return self._known(key, self._translations.gettext(key)).format(**figures)

    def plural(self, key: str, n: int, /, **figures: str) -> str:
        """A message in the plural form that goes with `n`."""
        return self._known(key, self._translations.ngettext(key, key, n)).format(**figures)

    def english(self, text: str) -> str:
        """An English text of a SQL file in this language, or as it stands when nobody has translated it."""
        return self._names.get(text) or (self._translations.gettext(text) if text else "")

    def listed(self, parts: Iterable[str]) -> str:
        """Names one after the other, parted as the language parts them."""
        return self.say("format.comma").join(parts)

    def beside(self, text: str, aside: str) -> str:
        """A text with something in brackets after it."""
        return self.say("format.beside", text=text, aside=aside)

    @property
    def tag(self) -> str:
        """The language as pages name it (BCP 47): `zh-Hans`."""
        return self.say("format.language_tag")

    def name(self, dimension: str, key: str) -> str:
        """A channel, branch or owner as a CRM names it, safe to show; `unknown` and `other` in words."""
        if key in NAMELESS and self.has(f"{dimension}.{key}"):
            return self.say(f"{dimension}.{key}")
        return plain(key)

    def _known(self, key: str, text: str) -> str:
        if text == key:
            raise KeyError(f"no catalogue in locale/{self.language} has a message {key!r}")
        return text


@cache
def words_of(language: str) -> Words:
    """The words of a language. Raises KeyError for a language without a catalogue."""
    if language not in LANGUAGES:
        raise KeyError(f"no report in language {language!r}: there are {', '.join(LANGUAGES)}")
    catalogue = Catalog(locale=language)
    for path in sorted((FOLDER / language).glob("*.po")):
        with path.open("rb") as source:
            for message in read_po(source, locale=language):
                if message.id:
                    catalogue[message.id] = message
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Words(language, gettext.GNUTranslations(compiled))


def plain(text: Any) -> str:
    """Text from a CRM or a config file for people: one line, no control or direction marks, at most 80 characters."""
    cleaned = clean_name(str(text)) or "—"
    return cleaned if len(cleaned) <= TEXT_LIMIT else cut(cleaned, TEXT_LIMIT - 1) + "…"
