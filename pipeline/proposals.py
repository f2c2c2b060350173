"""What `payback init` proposes: a stage mapping read off the names of the CRM's stages, by the words of a profile."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.records import Stage
from connectors.text import clean_name, fold
from pipeline.settings import ChannelRule
from pipeline.stages import MILESTONES, NO_MILESTONE
from pipeline.strict import Place, build

_MEANINGS = (*MILESTONES, NO_MILESTONE)


@dataclass(frozen=True, slots=True)
class Profile:
    """A ready-made starting point: (milestone or own step, words) in order of precedence, channel rules, a hint about the
    margin."""

    name: str
    title: str
    margin_hint: str
    words: tuple[tuple[str, tuple[str, ...]], ...]
    channels: tuple[ChannelRule, ...]


def read_profile(path: Path) -> Profile:
    """The profile in a file of config/profiles."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    place = Place(path)
    channels = (build(ChannelRule, rule, place.of("channels"), {}) for rule in table["channels"])
    words = ((rule["milestone"], tuple(rule["words"])) for rule in table["stages"])
    return Profile(path.stem, table["title"], table["margin_hint"], tuple(words), tuple(channels))


def propose(stage: Stage, profile: Profile) -> str | None:
    """The milestone the stage's name suggests, else the one its semantics does, else None: a person has to say."""
    name = fold(stage.name) or ""
    for milestone, words in profile.words:
        if any(word in name for word in words):
            # The last good stage of a deal is where money is counted, whatever else it is called.
            return "paid" if milestone not in _MEANINGS and stage.entity == "deal" and stage.semantics == "won" else milestone
    if stage.semantics == "won":
        # A won lead was turned into a deal; money comes with the deal.
        return "qualified" if stage.entity == "lead" else "paid"
    return "lost" if stage.semantics == "lost" else None


def stages_toml(source: str, stages: Sequence[Stage], profile: Profile) -> str:
    """The text of config/stages.toml for one source; stages nobody could guess stand there as comments."""
    lines = [
        "# Which CRM stage is which milestone: qualified, booked, confirmed, visited, no_show, cancelled, paid, lost, or none.",
        *(f"# Steps of your own (funnel.toml): {own}." for own in [", ".join(_own_steps(profile))] if own),
        f"# Proposed from the stage names with the profile {profile.name!r}: read it once, correct it, done.",
        "# A stage that stands nowhere is reported by `payback check`, never counted as zero.",
    ]
    groups: dict[str, list[Stage]] = {}
    for stage in sorted(stages, key=lambda item: (item.entity != "lead", item.pipeline_id, item.sort or 0, item.stage_id)):
        groups.setdefault(stage.entity, []).append(stage)
    for entity, members in groups.items():
        repeated = len({stage.stage_id for stage in members}) < len(members)
        tables: dict[str, list[Stage]] = {}
        for stage in members:  # one id in two pipelines: each pipeline gets a table of its own
            tables.setdefault(quoted(f"{entity}/{stage.pipeline_id}") if repeated else entity, []).append(stage)
        for table, rows in tables.items():
            lines += ["", f"[{source}.{table}]"]
            for stage in rows:
                milestone = propose(stage, profile)
                setting = f"{quoted(stage.stage_id)} = {quoted(milestone or NO_MILESTONE)}"
                lines.append(f"{'' if milestone else '# not recognised: '}{setting}  # {clean_name(stage.name) or ''}")
    return "\n".join(lines) + "\n"


def _own_steps(profile: Profile) -> list[str]:
    return [milestone for milestone, _ in profile.words if milestone not in _MEANINGS]


def channels_toml(channels: Sequence[ChannelRule]) -> str:
    """[[channels]] tables."""
    lines: list[str] = []
    for rule in channels:
        lines += ["", "[[channels]]", f"name = {quoted(rule.name)}"]
        for key in ("crm_source", "utm_source", "utm_medium", "utm_campaign"):
            values = getattr(rule, key)
            if values:
                lines.append(f"{key} = [{', '.join(quoted(value) for value in values)}]")
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A TOML basic string; control characters never get here because names are cleaned and ids are the CRM's codes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else " " for char in escaped) + '"'
