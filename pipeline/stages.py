"""Which CRM stage is which milestone: config/stages.toml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.strict import Place, nearest, read_toml

MILESTONES = ("qualified", "booked", "confirmed", "visited", "no_show", "cancelled", "paid", "lost")
NO_MILESTONE = "none"


@dataclass(frozen=True, slots=True)
class StageRule:
    """One CRM stage and the milestone it means; `none` is a known stage that means no milestone. `pipeline_id` "*": any."""

    source: str
    entity: str
    pipeline_id: str
    stage_id: str
    milestone: str


def read_stages(path: Path, sources: set[str], words: Sequence[str] = MILESTONES) -> tuple[StageRule, ...]:
    """The rules of stages.toml: [SOURCE.ENTITY] or [SOURCE."ENTITY/PIPELINE"], then STAGE = "milestone", or a step of the
    business's own funnel: `words` are all that may stand there. Raises ConfigError."""
    if not path.is_file():
        return ()
    rules = []
    for source, entities in read_toml(path).items():
        if source not in sources:
            raise ConfigError(f"{Place(path, source)}: no source {source!r}{nearest(source, sorted(sources))}")
        for entity_pipeline, stages in _table(entities, Place(path, source)).items():
            entity, _, pipeline_id = entity_pipeline.partition("/")
            place = Place(path, f"{source}.{entity_pipeline}")
            stages = _table(stages, place)
            if entity not in ("lead", "deal"):
                raise ConfigError(f"{place}: {entity!r} is neither lead nor deal")
            for stage_id, milestone in stages.items():
                if milestone not in (*words, NO_MILESTONE):
                    raise ConfigError(
                        f"{place.of(stage_id)}: {milestone!r} is no milestone{nearest(str(milestone), words)}",
                        hint=f"milestones: {', '.join(words)}, or none",
                    )
                rules.append(StageRule(source, entity, pipeline_id or "*", stage_id, milestone))
    return tuple(rules)


def _table(value: object, place: Place) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{place}: expected a table of keys")
    return value
