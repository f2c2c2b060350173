"""What runs with nobody watching: the `[schedule]` and `[serve]` tables of payback.toml."""

from dataclasses import dataclass

from connectors.secrets import Secret


@dataclass(frozen=True, slots=True)
class Schedule:
    """When `payback serve` runs the night: a time of the day or a cron expression, by the business's clock."""

    run: str = "03:30"


@dataclass(frozen=True, slots=True)
class Serve:
    """What `payback serve` needs to be reached from other machines."""

    password: Secret | None = None
