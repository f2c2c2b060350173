"""How often the demo's interval contains its own true effect: `python -m bench.demo_truth [n seeds]` (about 20 s a seed)."""

import sys
import tempfile
from pathlib import Path

from pipeline.demo import play


def main(n_seeds: int) -> None:
    """One demo a seed; 95 % of the intervals should contain the truth."""
    n_inside = 0
    for seed in range(1, n_seeds + 1):
        printed: list[str] = []
        with tempfile.TemporaryDirectory() as folder:
            play(Path(folder) / "demo", seed=seed, say=printed.append)
        line = next(line for line in "\n".join(printed).splitlines() if "incremental profit" in line)
        n_inside += "inside" in line
        print(f"seed {seed:2}: {line.strip()}", flush=True)
    print(f"{n_inside} of {n_seeds} intervals contain the true effect")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
