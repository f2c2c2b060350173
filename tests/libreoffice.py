"""Workbooks recalculated by LibreOffice, as whoever opens them sees them."""

import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

SOFFICE = shutil.which("soffice") or shutil.which("libreoffice")


def recalculate(files: Mapping[str, bytes], folder: Path) -> dict[str, bytes]:
    """The workbooks with every formula computed anew, all of them in one start; skips where there is no LibreOffice."""
    if SOFFICE is None:
        pytest.skip("no LibreOffice on this machine (apt-get install libreoffice-calc)")
    for name, content in files.items():
        (folder / f"{name}.xlsx").write_bytes(_uncomputed(content))
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    command = [SOFFICE, profile, "--headless", "--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", str(folder / "out")]
    subprocess.run([*command, *map(str, sorted(folder.glob("*.xlsx")))], check=True, capture_output=True, timeout=300)
    return {name: (folder / "out" / f"{name}.xlsx").read_bytes() for name in files}


def _uncomputed(content: bytes) -> bytes:
    """The workbook without the values we computed ourselves: LibreOffice would believe them instead of computing."""
    saved = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(saved, "w") as target:
        for part in source.namelist():
            target.writestr(part, re.sub(rb"</f><v>[^<]*</v>", b"</f>", source.read(part)))
    return saved.getvalue()
