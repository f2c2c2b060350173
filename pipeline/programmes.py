"""Programmes: launches that overlap in time and scope and are accounted for together, as `[programme.NAME]` of launches.toml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.launches import PROGRAMME, Launch, is_programmes
from pipeline.strict import Place, build, check_name, nearest, read_toml

# One bit of a zone's number each; a programme of more parts could not be told apart by anybody.
MOST_MODULES = 12


@dataclass(frozen=True, slots=True)
class Programme:
    """Launches that are modules of one programme; `pool`: by module the metrics it is meant to move, all where none are named."""

    name: str
    title: str
    modules: tuple[str, ...]
    pool: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def launches(self, known: Sequence[Launch]) -> tuple[Launch, ...]:
        """Its modules in the order of their start."""
        mine = [launch for launch in known if launch.name in self.modules]
        return tuple(sorted(mine, key=lambda launch: (launch.started_on, launch.name)))


def read_programmes(path: Path, launches: Sequence[Launch]) -> tuple[Programme, ...]:
    """The programmes of launches.toml, in its order. Raises ConfigError naming file, key and the nearest valid name."""
    if not path.is_file():
        return ()
    tables = read_toml(path).get(PROGRAMME, {})
    if not is_programmes(tables):
        return ()
    known = {launch.name: launch for launch in launches}
    found: list[Programme] = []
    owner: dict[str, str] = {}
    for name, table in tables.items():
        place = Place(path, f"{PROGRAMME}.{name}")
        check_name(name, place)
        programme = build(Programme, {"title": name, **table, "name": name}, place, {})
        if name in known:
            raise ConfigError(f"{place}: a launch has the same name", hint="commands take either name: rename one of them")
        _check_modules(programme, known, tables, place)
        for module in programme.modules:
            if module in owner:
                raise ConfigError(
                    f"{place.of('modules')}: {module!r} is a module of the programme {owner[module]!r} already",
                    hint="a launch belongs to one programme, or its profit would be counted twice",
                )
            owner[module] = name
        found.append(programme)
    return tuple(found)


def _check_modules(programme: Programme, known: Mapping[str, Launch], tables: Mapping[str, object], place: Place) -> None:
    listed = place.of("modules")
    for module in programme.modules:
        if module in tables:
            raise ConfigError(
                f"{listed}: {module!r} is a programme, and a programme holds launches only", hint="name the launches themselves"
            )
        if module not in known:
            hint = f"known: {', '.join(known) or 'none'}"
            raise ConfigError(f"{listed}: no launch {module!r}{nearest(module, list(known))}", hint=hint)
    if len(set(programme.modules)) < len(programme.modules):
        raise ConfigError(f"{listed}: a module is named twice", hint="name each launch once")
    if not 2 <= len(programme.modules) <= MOST_MODULES:
        raise ConfigError(
            f"{listed}: a programme has 2 to {MOST_MODULES} modules, this one has {len(programme.modules)}",
            hint="one launch alone is measured by its own name",
        )
    for module in programme.pool:
        if module not in programme.modules:
            raise ConfigError(f"{place.of('pool')}: {module!r} is no module of it{nearest(module, programme.modules)}")
    margins = {known[module].margin for module in programme.modules} - {None}
    if len(margins) > 1:
        raise ConfigError(
            f"{listed}: the modules have different margins ({', '.join(f'{one:g}' for one in sorted(filter(None, margins)))})",
            hint="the same leads cannot earn at two margins: give every module the same one",
        )
