"""How long `payback --help` takes, interpreter included: best and median of ten.

python -m bench.startup
"""

import statistics
import subprocess
import time

from bench.portal import PAYBACK, table

N = 10
COMMANDS = (("--help",), ("sync", "--help"), ("sql", "show_rate"))


def seconds(arguments: tuple[str, ...]) -> float:
    started = time.perf_counter()
    subprocess.run([*PAYBACK, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    rows = []
    for arguments in COMMANDS:
        times = [seconds(arguments) for _ in range(N)]
        rows.append((f"`payback {' '.join(arguments)}`", f"{min(times):.2f}", f"{statistics.median(times):.2f}"))
    print(table(("command", "best s", "median s"), rows))


if __name__ == "__main__":
    main()
