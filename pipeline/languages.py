"""The languages people may read in: those that have a folder of catalogues (reports/locale/<language>)."""

from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.strict import Place, nearest

FOLDER = Path(__file__).parent / "reports" / "locale"
LANGUAGES = tuple(sorted(path.parent.name for path in FOLDER.glob("*/report.po")))


def check_language(language: str, place: Place) -> None:
    """Raises ConfigError for a language without catalogues."""
    if language not in LANGUAGES:
        raise ConfigError(
            f"{place}: {language!r} is not possible{nearest(language, LANGUAGES)}", hint=f"possible: {', '.join(LANGUAGES)}"
        )
