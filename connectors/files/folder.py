"""The files of a source: one file, a folder that is watched, or a pattern."""

import glob
from dataclasses import dataclass
from pathlib import Path

from connectors.errors import OptionError
from connectors.text import shown

SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xls", ".htm", ".html"})


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file was written to."""

    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One export, under the name it is remembered by: its path below the configured folder, safe to print and to store."""

    path: Path
    name: str
    stamp: Stamp

    def is_untouched(self) -> bool:
        """Whether the file is still the one that was found."""
        try:
            return stamp_of(self.path) == self.stamp
        except OSError:
            return False


def stamp_of(path: Path) -> Stamp:
    """The file's present stamp. Raises OSError."""
    facts = path.stat()
    return Stamp(facts.st_size, facts.st_mtime_ns)


def export_files(configured: str) -> list[ExportFile]:
    """The exports, oldest first: where two know one lead, the later export is right. Raises OptionError for no such place."""
    path = Path(configured).expanduser()
    if glob.has_magic(configured) and not path.exists():
        parts = path.parts
        plain = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        base = Path(*parts[:plain])
        paths = [base / found for found in glob.glob(str(Path(*parts[plain:])), root_dir=base, recursive=True)]
    elif path.is_dir():
        base, paths = path, list(path.iterdir())
    elif path.exists():
        base, paths = path.parent, [path]
    else:
        raise OptionError(f"path: there is no file or folder {path}", hint="correct the path, or put the export there")
    found = []
    for one in paths:
        is_ours = one.suffix.lower() in SUFFIXES and not one.name.startswith((".", "~$"))
        if (is_ours or one == path) and one.is_file():
            found.append(ExportFile(one, shown(one.relative_to(base).as_posix()).replace("\n", "\\u000a"), stamp_of(one)))
    return sorted(found, key=lambda file: (file.stamp.modified_ns, file.name))
