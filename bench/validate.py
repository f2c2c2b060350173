"""Do the intervals mean what they say? Simulated launches with a known truth, real series without a launch, other methods beside.

    make validate                                   everything, half an hour on two free cores; writes docs/validation.md
    python -m bench.validate --launches 200         a quarter; writes the page too
    python -m bench.validate --launches 40          a quick look at everything (prints only)
    python -m bench.validate --only looks,season    groups or scenarios whose name contains a word (prints only)
    python -m bench.validate --only real --panel FILE.csv     placebo launches on another series (columns week, unit, n, reached)

Seeded by the name of each cell and the number of its batch: the same figures on any number of workers. Exit code 1 when a
figure misses its target by more than its Monte-Carlo error allows.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, Protocol
from zlib import crc32

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: threads only get in each other's way
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import scipy

from bench import validate_claims, validate_late, validate_looks, validate_money, validate_real
from bench.portal import ROOT
from bench.validate_tables import Section, replaced
from pipeline.weekly import FloatArray

Cells = Mapping[str, Mapping[str, FloatArray]]


class Group(Protocol):
    """A module of cells: what it measures, how, and its tables."""

    def keys(self) -> list[str]:
        """The names of its cells."""

    def run(self, key: str, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Rows of `n` launches of one cell, by what was measured."""

    def tables(self, results: Cells) -> list[Section]:
        """Its tables from the rows by cell."""


# The slow ones first, so that no worker is left with a long tail.
GROUPS: dict[str, Group] = {
    "looks": validate_looks,
    "claims": validate_claims,
    "late": validate_late,
    "money": validate_money,
    "real": validate_real,
}
ORDER = ("claims", "looks", "late", "money", "real")
N_LAUNCHES = 400
WORTH_WRITING = 200  # fewer launches say too little for a page that others read
BATCH = 25
PAGE = ROOT / "docs" / "validation.md"
Results = dict[str, dict[str, dict[str, FloatArray]]]


class Batch(NamedTuple):
    """Some launches of one cell."""

    group: str
    key: str
    number: int
    n: int


def main(arguments: Sequence[str]) -> int:
    """Run, print, and write the page when nothing was left out."""
    asked = _parser().parse_args(arguments)
    words = [word for word in asked.only.split(",") if word]
    started = time.monotonic()
    results = measure(batches(asked.launches, words, tuple(asked.panel)), asked.workers)
    sections = {section.name: section for group in ORDER for section in _tables(group, results)}
    minutes = (time.monotonic() - started) / 60
    texts = {"run": _provenance(asked.launches, asked.workers, minutes)}
    texts |= {name: section.markdown() for name, section in sections.items()}
    texts["weak"] = weak_spots(list(sections.values()))
    print("\n\n".join(texts.values()))
    if asked.launches >= WORTH_WRITING and not words and not asked.panel:
        replaced(PAGE, texts.items())
        print(f"\nwritten to {PAGE.relative_to(ROOT)}", file=sys.stderr)
    return int(any(miss.cell.status == "fail" for section in sections.values() for miss in section.misses()))


def batches(n_launches: int, words: Sequence[str] = (), panels: tuple[str, ...] = ()) -> list[Batch]:
    """The work in small pieces; a word keeps the cells whose "group/name" contains it."""
    found = []
    sizes = [min(BATCH, n_launches - at) for at in range(0, n_launches, BATCH)]
    for group, module in GROUPS.items():
        is_real = group == "real"  # its launches are dates of given series: one batch, nothing to draw
        for key in validate_real.keys(panels) if is_real else module.keys():
            if not words or any(word in f"{group}/{key}" for word in words):
                found += [Batch(group, key, number, n) for number, n in enumerate([0] if is_real else sizes)]
    return found


def run(batch: Batch) -> dict[str, FloatArray]:
    """One batch, in a worker."""
    seed = [crc32(f"{batch.group}/{batch.key}".encode()), batch.number]
    try:
        return GROUPS[batch.group].run(batch.key, batch.n, np.random.default_rng(seed))
    except Exception as error:
        error.add_note(f"in {batch}")
        raise


def measure(work: Sequence[Batch], n_workers: int) -> Results:
    """Results by group and key: the rows of all batches, in the order of the batches."""
    found: dict[Batch, dict[str, FloatArray]] = {}
    for done, (batch, rows) in enumerate(_each(work, n_workers), start=1):
        found[batch] = rows
        if sys.stderr.isatty():
            print(f"\r{done} of {len(work)}", end="" if done < len(work) else "\n", file=sys.stderr, flush=True)
    results: Results = {}
    for batch in work:
        cell = results.setdefault(batch.group, {}).setdefault(batch.key, {})
        for name, new in found[batch].items():
            cell[name] = np.concatenate([cell[name], new]) if name in cell else new
    return results


def weak_spots(sections: Sequence[Section]) -> str:
    """The list of what missed its target, written from the tables."""
    misses = [(section, miss) for section in sections for miss in section.misses()]
    lines = [f"{sum(section.n_judged() for section in sections)} figures have a target."]
    kinds = {
        "Missed": ("fail", (False,)),
        "Too careful (the interval is wider than it says)": ("fail", (True,)),
        "Outside the target, but by less than two Monte-Carlo errors": ("near", (False, True)),
    }
    for title, (status, careful) in kinds.items():
        found: dict[str, list[str]] = {}
        for section, miss in misses:
            if miss.cell.status == status and miss.cell.is_above in careful:
                where = f"{section.title}, {miss.where} (wanted {miss.cell.target})"
                found.setdefault(where, []).append(f"{miss.what} {miss.cell.value:.1f} ± {miss.cell.error:.1f}")
        lines += ["", f"{title}: {sum(map(len, found.values())) or 'none'}.", ""]
        lines += [f"* {where}: {'; '.join(figures)}" for where, figures in found.items()]
    return "\n".join(lines).rstrip()


def _each(work: Sequence[Batch], n_workers: int) -> Iterator[tuple[Batch, dict[str, FloatArray]]]:
    if n_workers == 1:
        yield from map(_kept, work)
        return
    with get_context("spawn").Pool(n_workers) as pool:
        yield from pool.imap_unordered(_kept, work)


def _kept(batch: Batch) -> tuple[Batch, dict[str, FloatArray]]:
    return batch, run(batch)


def _tables(group: str, results: Mapping[str, Cells]) -> list[Section]:
    return GROUPS[group].tables(results[group]) if group in results else []


def _provenance(n_launches: int, n_workers: int, minutes: float) -> str:
    return (
        f"`python -m bench.validate --launches {n_launches}`: {n_launches} launches a cell, {n_workers} workers on "
        f"{os.cpu_count()} cores, {minutes:.0f} minutes; "
        f"{platform.system()}, Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}. "
        f"Seeds: the CRC-32 of \"group/cell\" and the number of the batch of {BATCH}.\n\n"
        "A figure is a share in % ± its Monte-Carlo standard error. ✗ missed its target, ~ lies outside it by less than two "
        "errors, - was not measured."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.validate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--launches", type=int, default=N_LAUNCHES, metavar="N", help="launches a cell (default %(default)s)")
    parser.add_argument("--only", default="", metavar="WORDS", help="groups or cells containing one of these, comma-separated")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), metavar="N")
    parser.add_argument("--panel", action="append", default=[], type=lambda path: str(Path(path).resolve()), metavar="FILE.csv")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
