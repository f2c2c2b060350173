"""All benchmarks, one after the other, each in a process of its own: `python -m bench` (an hour on two cores)."""

import subprocess
import sys
import time

from bench.portal import ROOT

ALL = (
    ("bench.startup",),
    ("bench.metrics",),
    ("bench.measure",),
    ("bench.warehouse",),
    ("bench.nightly",),
    ("bench.kill",),
    ("bench.kill", "--postgres"),
    ("bench.hooks",),
    ("bench.engines",),
    ("bench.guards_table", "100"),
    ("bench.modules", "50"),
    ("bench.forecast",),
    ("bench.export",),
)


def main() -> int:
    """The number of benchmarks that failed."""
    n_failed = 0
    for command in ALL:
        print(f"\n## python -m {' '.join(command)}\n", flush=True)
        started = time.monotonic()
        code = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False).returncode
        n_failed += code != 0
        print(f"\n({'done' if code == 0 else f'FAILED with {code}'} after {time.monotonic() - started:.0f} s)", flush=True)
    return n_failed


if __name__ == "__main__":
    sys.exit(main())
