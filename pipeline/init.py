"""`payback init`: writes config/ and .env from a few answers, and proposes the stage mapping from the source's own stages."""

import os
import re
import secrets as randomness
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from connectors import engine, registry
from connectors.contract import Surroundings, Walk
from connectors.memory import MemorySink
from connectors.records import Stage
from connectors.secrets import Secret
from pipeline.errors import ConfigError
from pipeline.proposals import Profile, channels_toml, propose, quoted, read_profile, stages_toml
from pipeline.settings import load_settings, read_environment, zone_of
from pipeline.strict import Place, build, nearest

WEBHOOK_VARIABLE = "BITRIX24_WEBHOOK"


@dataclass(frozen=True, slots=True)
class Answers:
    """What the owner was asked. Exactly one of `webhook` (Bitrix24) and `files` (folder, file or pattern) is given."""

    name: str
    profile: str
    timezone: str
    webhook: Secret | None = None
    files: str | None = None
    branch: str | None = None
    private_network: bool = False  # the portal stands in the company's own network
    launch: str = "assistant"
    launch_title: str = "AI-ассистент"
    started_on: date | None = None
    margin: float | None = None
    one_off: float | None = None
    monthly: float | None = None

    @property
    def source(self) -> str:
        return "portal" if self.webhook else "export"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `init` wrote, and how much of the stage dictionary it understood."""

    written: tuple[Path, ...]
    n_stages: int
    unrecognised: tuple[str, ...]


def profiles_folder() -> Path:
    """Where the profiles are: data of the installed package, or config/ of the checkout."""
    package = Path(__file__).parent
    packaged = package / "data" / "config" / "profiles"
    return packaged if packaged.is_dir() else package.parent / "config" / "profiles"


def write_config(folder: Path, answers: Answers, environ: Mapping[str, str], *, replace: bool = False) -> Outcome:
    """Write the configuration into `folder` and .env beside it. The source is read first: nothing is written if it cannot be.

    Raises ConfigError when files exist already, and the source's own errors.
    """
    zone_of(answers.timezone)
    if not re.fullmatch(r"[A-Za-z0-9_-]+", answers.launch):
        raise ConfigError(
            f"--launch {answers.launch!r}: a short name of Latin letters, digits, - and _", hint="--launch-title takes any text"
        )
    profile = _profile(answers.profile)
    own = profiles_folder() / "funnels" / f"{profile.name}.toml"  # some businesses have steps of their own
    names = ("payback.toml", "stages.toml", "launches.toml", *(("funnel.toml",) if own.is_file() else ()))
    targets = [folder / name for name in names]
    present = [path for path in targets if path.exists()]
    if present and not replace:
        raise ConfigError(
            f"{present[0]} exists already", hint="name another folder with --config, or pass --replace to write it anew"
        )
    stored = read_environment(folder, {})
    key = stored.get("PAYBACK_HASH_KEY") or environ.get("PAYBACK_HASH_KEY") or randomness.token_urlsafe(32)
    stages = read_stages(answers, Secret(key))
    folder.mkdir(parents=True, exist_ok=True)
    _write_env(folder.resolve().parent / ".env", stored, answers, key)
    targets[0].write_text(_main_toml(answers, profile), encoding="utf-8")
    targets[1].write_text(stages_toml(answers.source, stages, profile), encoding="utf-8")
    targets[2].write_text(_launches_toml(answers, profile), encoding="utf-8")
    if own.is_file():
        targets[3].write_text(own.read_text(encoding="utf-8"), encoding="utf-8")
    load_settings(folder, {})  # what was written must be readable
    unrecognised = tuple(stage.name for stage in stages if propose(stage, profile) is None)
    return Outcome(tuple(targets), len(stages), unrecognised)


def read_stages(answers: Answers, hash_key: Secret) -> list[Stage]:
    """The stage dictionary of the source, read live."""
    kind: Any = registry.kind("bitrix24" if answers.webhook else "files")
    table: dict[str, Any] = {"webhook": f"env:{WEBHOOK_VARIABLE}"} if answers.webhook else {"path": answers.files}
    if answers.private_network:
        table["private_network"] = True
    variables = {WEBHOOK_VARIABLE: answers.webhook.reveal()} if answers.webhook else {}
    if answers.branch:
        table["branch"] = answers.branch
    options = build(kind.OPTIONS, table, Place(Path("payback.toml"), f"sources.{answers.source}"), variables)
    source = kind.open(options, Surroundings(timezone=zone_of(answers.timezone), hash_key=hash_key))
    sink = MemorySink()
    engine.pull(source, sink, only=lambda stream: stream.walk is Walk.WHOLE)
    return sink.live(Stage)


def _profile(name: str) -> Profile:
    folder = profiles_folder()
    known = sorted(path.stem for path in folder.glob("*.toml"))
    if name not in known:
        raise ConfigError(f"no profile {name!r}{nearest(name, known)}", hint=f"known: {', '.join(known)}")
    return read_profile(folder / f"{name}.toml")


def _write_env(path: Path, stored: Mapping[str, str], answers: Answers, key: str) -> None:
    """Add what is missing; keep every other line. Readable by its owner only."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    wanted = {"PAYBACK_HASH_KEY": key}
    if answers.webhook:
        wanted[WEBHOOK_VARIABLE] = answers.webhook.reveal()
    for name, value in wanted.items():
        if stored.get(name) == value:
            continue
        lines = [line for line in lines if not line.startswith(f"{name}=")]
        lines.append(f"{name}={value}")
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)  # a full disk or a kill must not cost the hash key


def _main_toml(answers: Answers, profile: Profile) -> str:
    if answers.webhook:
        source = f'kind = "bitrix24"\nwebhook = "env:{WEBHOOK_VARIABLE}"' + "\nprivate_network = true" * answers.private_network
    else:
        source = f'kind = "files"\npath = {quoted(answers.files or "")}'
    branch = (
        f"branch = {quoted(answers.branch)}"
        if answers.branch
        else '# branch = "Филиал"   # a field by title or code, or "pipeline"'
    )
    return f"""# Payback: who, where from, which channels. Secrets stand in .env, never here.

[business]
name = {quoted(answers.name)}
timezone = {quoted(answers.timezone)}
currency = "RUB"
language = "ru"
# closures = [2026-01-01, 2026-01-02]   # days shut: their weeks are left out on both sides

[warehouse]
url = "duckdb:///payback.duckdb"

[sources.{answers.source}]
{source}
{branch}

# The first rule that fits names the channel; `abc*` is a beginning, `*abc*` a part.
{channels_toml(profile.channels)}"""


def _launches_toml(answers: Answers, profile: Profile) -> str:
    def line(name: str, value: object, example: str) -> str:
        return f"{name} = {value}" if value is not None else f"# {name} = {example}"

    return f"""# What is measured. A cost that is left out is "not counted", which is not zero.

[{answers.launch}]
title = {quoted(answers.launch_title)}
started_on = {answers.started_on or date.today()}
{line("margin", answers.margin, profile.margin_hint)}
# washout_days = 14
# horizon_days = 30

[{answers.launch}.costs]
{line("one_off", answers.one_off, "30000")}
{line("monthly", answers.monthly, "5000")}
# staff_hours_one_off = 10
# staff_hours_monthly = 2
# hour_rate = 500

# Costs that are usually forgotten, by name: each filled, 0, a range or "not counted". Take out the # of what you know;
# what one_off and monthly hold already does not belong here. docs/costs.md
# licence = {{ monthly = 5000 }}
# set_up = {{ once = 30000 }}
# integration = {{ once = "50000..150000" }}
# training_hours = {{ once = 10 }}
# manager_hours = {{ monthly = 2 }}
# content = 0
# telephony = "not counted"
# messages = {{ per_lead = "2,50" }}
# support = {{ monthly = 3000 }}
# vat = {{ rate = "20 %", on = ["licence", "set_up"] }}
# switching = {{ once = 10000 }}
"""
