import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.text import _HIDDEN, FOLD_LIMIT, clean_name, cut, fold

# Controls that str.split takes for white space: they separate words and must not glue them together.
SEPARATORS = set("\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Yandex   Direct ", "yandex direct"),
        ("Подтверждён на завтра", "подтвержден на завтра"),
        ("ПОДТВЕРЖДЕ\u0308Н", "подтвержден"),  # Ё typed as E and a mark
        ("ё\u0308", "е"),  # what is left of ё meets another mark
        ("ｃｐｃ", "cpc"),
        ("vk\u00a0ads\u200b", "vk ads"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("line\none\ttwo", "line one two"),
        ("nul\x00byte", "nulbyte"),
        ("\ud800half", "half"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("STRASSE ß", "strasse ss"),
        ("", None),
        (" \u200b\t", None),
        (None, None),
    ],
)
def test_fold(text, expected):
    assert fold(text) == expected


def test_fold_cuts_long_values():
    assert fold("x" * 5000) == "x" * FOLD_LIMIT
    assert fold("a" * (FOLD_LIMIT - 1) + " b") == "a" * (FOLD_LIMIT - 1)


@given(st.text())
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_folded_text_can_be_stored_and_compared(text):
    word = fold(text)
    if word is not None:
        word.encode("utf-8")
        assert "ё" not in word
        assert word == word.strip()
        assert len(word) <= FOLD_LIMIT


@given(st.text(), st.text())
def test_kinds_and_numbers_of_spaces_do_not_matter(left, right):
    assert fold(f" {left}\u00a0 {right}") == fold(f"{left} {right}")


def test_hidden_characters_are_exactly_controls_formats_and_surrogates():
    expected = {
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in SEPARATORS
    }
    missing = {character for character in expected if not _HIDDEN.fullmatch(character)}
    # Newer Unicode tables may add format characters: those of Unicode 15 and before are all covered.
    assert missing == set()
    extra = {character for character in map(chr, range(sys.maxunicode + 1)) if _HIDDEN.fullmatch(character)} - expected
    assert all(unicodedata.category(character) == "Cn" for character in extra)


def test_clean_name_keeps_case_and_letters():
    assert clean_name("  Алёна \u202e Ёлкина\n") == "Алёна Ёлкина"
    assert clean_name(None) == ""
    assert len(clean_name("я" * 999)) == 200


FAMILY = "👩\u200d👩\u200d👧"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"Салон {FAMILY} у дома", f"Салон {FAMILY} у дома"),
        ("❤\ufe0f\u200d🔥 Акция", "❤\ufe0f\u200d🔥 Акция"),  # with its variation selector
        ("👩🏽\u200d💻", "👩🏽\u200d💻"),
        ("ad\u200dmin", "admin"),
        ("👩\u200dadmin\u200d👩", "👩admin👩"),
        ("\u200d👩\u200d", "👩"),
        ("👩\u200d\u200d👩", "👩👩"),
        ("👩\u200b\u200d👩", "👩👩"),
    ],
)
def test_a_joiner_stays_between_pictures_only(name, expected):
    assert clean_name(name) == expected
    assert clean_name(expected) == expected
    assert fold(name) == fold(expected)
    assert "\u200d" not in fold(name)


def test_no_joiner_is_left_at_a_cut():
    for n in range(20):
        assert not clean_name("x" * n + FAMILY * 80).endswith("\u200d")
        assert cut(FAMILY, n) == FAMILY[:n].rstrip("\u200d")
