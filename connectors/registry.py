"""Which kinds of source exist: ours, and those that other installed packages add as entry points of `payback.connectors`."""

import difflib
from contextlib import suppress
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from connectors.errors import OptionError

GROUP = "payback.connectors"
OWN = {"bitrix24": "connectors.bitrix24:Bitrix24", "files": "connectors.files:Files"}


def kind(name: str) -> type:
    """The connector or reader class of one kind; nothing else is imported. Raises OptionError: unknown, or not loadable."""
    if name in OWN:
        module, _, attribute = OWN[name].partition(":")
        found: type = getattr(import_module(module), attribute)
        return found
    added = _added()
    if name in added:
        return _loaded(added[name])
    close = difflib.get_close_matches(name, names(), n=1, cutoff=0.4)
    nearest = f"did you mean '{close[0]}'? " if close else ""
    raise OptionError(f"kind: there is no connector '{name}'", hint=f"{nearest}known: {', '.join(names())}")


def names() -> list[str]:
    """All kinds, whether they can be loaded or not."""
    return sorted({*OWN, *_added()})


def kinds() -> dict[str, type]:
    """All kinds that can be loaded. A broken package takes only itself down; `kind` says what is wrong with it."""
    found = {}
    for name in names():
        with suppress(OptionError):
            found[name] = kind(name)
    return found


def _added() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in OWN}


def _loaded(point: EntryPoint) -> type:
    try:
        found = point.load()
    except Exception as error:
        raise OptionError(
            f"kind '{point.name}': its package cannot be loaded ({type(error).__name__})",
            hint=f"repair or uninstall the package that brings {point.value}",
        ) from error
    if not isinstance(found, type) or not hasattr(found, "OPTIONS"):
        raise OptionError(f"kind '{point.name}': {point.value} is no connector class", hint="a connector is a class with OPTIONS")
    return found
