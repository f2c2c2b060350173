"""The only reader of config/, .env and the environment. Hands down one frozen `Settings`; nobody else looks at files.

config/payback.toml   business, warehouse, sources, channels
config/stages.toml    which CRM stage is which milestone
config/launches.toml  what is measured, and what it costs
config/costs.toml     costs that launches share, and ad spend
config/benchmarks.toml  what the same money earns elsewhere, what costs nobody filled in typically come to (hurdles.py)
config/funnel.toml, config/metrics/*.sql  steps and metrics of one's own (funnel.py)
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values

from connectors import registry
from connectors.contract import Connector, Reader, Surroundings
from connectors.errors import OptionError
from connectors.secrets import Secret
from pipeline.ad_spend import AdSpend, Spend, check_ad_spend, read_spend
from pipeline.errors import ConfigError
from pipeline.funnel import OwnFunnel, read_funnel
from pipeline.hurdles import Hurdle, TypicalCost, read_hurdles, read_typical_costs
from pipeline.languages import check_language
from pipeline.launches import Launch, read_launches
from pipeline.programmes import Programme, read_programmes
from pipeline.recipients import Alerts, check_alerts
from pipeline.shared_costs import SharedCost, read_shared
from pipeline.stages import StageRule, read_stages
from pipeline.strict import Place, build, check_name, nearest, read_toml, stamps
from pipeline.subscribers import Subscriber, check_subscribers
from pipeline.unattended import Schedule, Serve
from pipeline.users import Dashboard, check_dashboard

COSTS_FILE = "costs.toml"


@dataclass(frozen=True, slots=True)
class Business:
    """Who the numbers are for: calendar, currency (ISO code), language of the reports."""

    name: str = ""
    timezone: str = "Europe/Moscow"
    currency: str = "RUB"
    language: str = "ru"
    closures: tuple[date, ...] = ()  # days the business was shut: their weeks are left out on both sides

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """The first rule whose every filled field matches names the channel. `abc*` matches a beginning, `*abc*` a part."""

    name: str
    crm_source: tuple[str, ...] = ()
    utm_source: tuple[str, ...] = ()
    utm_medium: tuple[str, ...] = ()
    utm_campaign: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retention:
    """How long superseded versions of rows are kept before `payback prune` throws them away; None: for ever."""

    versions_days: int | None = None


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """One configured account; `options` are checked against the connector's own `OPTIONS`."""

    name: str
    kind: str
    options: Any


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run needs to know."""

    folder: Path
    business: Business
    warehouse_url: Secret
    sources: tuple[SourceSettings, ...]
    channels: tuple[ChannelRule, ...]
    stages: tuple[StageRule, ...]
    launches: tuple[Launch, ...]
    hash_key: Secret
    schedule: Schedule = field(default_factory=Schedule)
    serve: Serve = field(default_factory=Serve)
    retention: Retention = field(default_factory=Retention)
    alerts: Alerts = field(default_factory=Alerts)
    deliveries: tuple[Subscriber, ...] = ()
    dashboard: Dashboard = field(default_factory=Dashboard)
    hurdles: tuple[Hurdle, ...] = ()
    typical_costs: tuple[TypicalCost, ...] = ()
    shared_costs: tuple[SharedCost, ...] = ()
    ad_spend: AdSpend | None = None
    funnel: OwnFunnel = field(default_factory=OwnFunnel)
    programmes: tuple[Programme, ...] = ()
    stamps: tuple[object, ...] = field(default=(), compare=False)  # of its files, before they were read

    @property
    def is_current(self) -> bool:
        """Whether its files are still those that were read."""
        return self.stamps == stamps(self.folder)

    @property
    def home(self) -> Path:
        """The folder that holds config/ and .env: relative paths mean it, wherever a command is run from."""
        return self.folder.resolve().parent

    def launch(self, name: str) -> Launch:
        """The launch of that name. Raises ConfigError naming the nearest one."""
        for launch in self.launches:
            if launch.name == name:
                return launch
        known = [*(launch.name for launch in self.launches), *(one.name for one in self.programmes)]
        raise ConfigError(
            f"no launch {name!r} in {self.folder / 'launches.toml'}{nearest(name, known)}",
            hint=f"known: {', '.join(known) or 'none'}",
        )

    @property
    def titles(self) -> dict[str, str]:
        """Of the launches, then of the programmes, by name: everything that has a report."""
        return {**{one.name: one.title for one in self.launches}, **{one.name: one.title for one in self.programmes}}

    def programme(self, name: str) -> Programme | None:
        """The programme of that name, if there is one."""
        return next((one for one in self.programmes if one.name == name), None)

    def spend(self) -> Spend | None:
        """The ad spend as its files say now; None where none is configured. Raises ConfigError naming file and line."""
        if self.ad_spend is None:
            return None
        return read_spend(self.ad_spend, self.home, Place(self.folder / COSTS_FILE, "ad_spend"), self.business.currency)

    def fingerprint(self, launch: Launch) -> str:
        """SHA-256 (first 16 hex digits) of everything in the configuration that can change the launch's figures."""
        facts = [
            {"timezone": self.business.timezone, "currency": self.business.currency, "closures": self.business.closures},
            [asdict(rule) for rule in self.channels],
            sorted(json.dumps(asdict(rule), sort_keys=True) for rule in self.stages),
            {**launch.facts(), "costs": launch.costs.facts()},
            *self._beside(launch),
            *([] if self.funnel.is_empty else [self.funnel.facts()]),
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str, ensure_ascii=False).encode()).hexdigest()[:16]

    def _beside(self, launch: Launch) -> list[object]:
        """What of the other files moves the launch's figures; nothing where they say nothing of it."""
        shared = [asdict(cost) for cost in self.shared_costs if launch.name in cost.launches]
        typical = [asdict(cost) for cost in self.typical_costs] if launch.costs.lines else []
        spend = self.spend()
        days = sorted((channel, day, cost) for (channel, day), cost in spend.amounts.items()) if spend else []
        return [found for found in (shared, typical, days) if found]

    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that must not appear in any text."""
        found = [value for source in self.sources for value in _slots(source.options) if isinstance(value, Secret)]
        passwords = re.findall(r"(?:://[^:/@]*:(?=[^@]+@)|[?&](?:ssl)?password=)([^@&]+)", self.warehouse_url.reveal())
        served = [self.serve.password] if self.serve.password else []
        sent = [secret for one in self.deliveries for secret in one.secrets()]
        hashes = [user.password_hash for user in self.dashboard.users]
        return (*self.alerts.secrets(), *sent, *found, *served, *hashes, self.hash_key, *map(Secret, passwords))


def _slots(options: Any) -> Iterable[Any]:
    return (getattr(options, name) for name in options.__dataclass_fields__)


def read_environment(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the .env beside the config folder, overridden by the process environment."""
    beside = folder.resolve().parent / ".env"
    try:
        stored = dotenv_values(beside, interpolate=False) if beside.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        hint = "it must be a UTF-8 text file that the user who runs payback may read"
        raise ConfigError(f"{beside} cannot be read ({type(error).__name__})", hint=hint) from None
    return {**{name: value or "" for name, value in stored.items()}, **environ}


def load_settings(folder: Path, environ: Mapping[str, str]) -> Settings:
    """The settings in `folder`. Raises ConfigError naming file, key and the nearest valid key."""
    main = folder / "payback.toml"
    if not main.is_file():
        raise ConfigError(f"there is no {main}", hint="run `payback init` to write one, or name the folder with --config")
    before = stamps(folder)
    variables = read_environment(folder, environ)
    document = read_toml(main)
    outline = build(_Outline, document, Place(main), variables)
    _check_business(outline.business, Place(main))
    kinds = {name: str(table.get("kind")) for name, table in outline.sources.items()}
    check_alerts(outline.alerts, kinds, Place(main, "alerts"))
    funnel = read_funnel(folder)
    launches = read_launches(folder / "launches.toml", set(outline.sources), outline.business.currency)
    programmes = read_programmes(folder / "launches.toml", launches)
    reported = [one.name for one in launches] + [one.name for one in programmes]
    check_subscribers(outline.deliveries, kinds, reported, Place(main, "deliveries"))
    check_dashboard(outline.dashboard, Place(main, "dashboard"))
    key = variables.get("PAYBACK_HASH_KEY", "")
    if len(key) < 16:
        raise ConfigError(
            "PAYBACK_HASH_KEY is missing or shorter than 16 characters",
            hint="put PAYBACK_HASH_KEY=<long random text> into the .env beside the config folder; `payback init` makes one",
        )
    _check_crms(outline.sources, main)
    home = folder.resolve().parent
    names, currency = [launch.name for launch in launches], outline.business.currency
    shared_costs, ad_spend = _read_costs(folder / COSTS_FILE, names, currency)
    return Settings(
        folder=folder,
        business=outline.business,
        warehouse_url=Secret(_at_home(variables.get("PAYBACK_WAREHOUSE") or outline.warehouse.url, home)),
        sources=tuple(
            _source(name, table, Place(main, f"sources.{name}"), variables, home) for name, table in outline.sources.items()
        ),
        channels=outline.channels,
        stages=read_stages(folder / "stages.toml", set(outline.sources), funnel.words),
        launches=launches,
        programmes=programmes,
        hash_key=Secret(key),
        schedule=outline.schedule,
        serve=outline.serve,
        retention=outline.retention,
        alerts=outline.alerts,
        hurdles=read_hurdles(folder, variables),
        typical_costs=read_typical_costs(folder, variables),
        shared_costs=shared_costs,
        ad_spend=ad_spend,
        funnel=funnel,
        stamps=before,
        deliveries=outline.deliveries,
        dashboard=outline.dashboard,
    )


def _read_costs(path: Path, launches: list[str], currency: str) -> tuple[tuple[SharedCost, ...], AdSpend | None]:
    """costs.toml: what launches share, and where the ad spend is told. Raises ConfigError."""
    if not path.is_file():
        return (), None
    table, place = read_toml(path), Place(path)
    for key in table:
        if key not in ("shared", "ad_spend"):
            raise ConfigError(f"{place.of(key)}: unknown key {key!r}{nearest(key, ('shared', 'ad_spend'))}", hint="docs/costs.md")
    shared = read_shared(table.get("shared", {}), place.of("shared"), launches, currency)
    return shared, check_ad_spend(table["ad_spend"], place.of("ad_spend"), currency) if "ad_spend" in table else None


def load_business(folder: Path) -> Business:
    """Only who the figures are for, where nothing else is needed; the defaults without a configuration. Raises ConfigError."""
    main = folder / "payback.toml"
    if not main.is_file():
        return Business()
    business = build(Business, read_toml(main).get("business", {}), Place(main, "business"), {})
    _check_business(business, Place(main))
    return business


def _check_crms(sources: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    """A source of support requests names the source whose leads they point to."""
    for name, table in sources.items():
        crm = table.get("crm")
        if isinstance(crm, str) and crm not in sources:
            place = Place(file, f"sources.{name}").of("crm")
            known = sorted(sources)
            raise ConfigError(f"{place}: no source {crm!r}{nearest(crm, known)}", hint=f"known: {', '.join(known)}")


@dataclass(frozen=True, slots=True)
class _Warehouse:
    url: str = "duckdb:///payback.duckdb"


@dataclass(frozen=True, slots=True)
class _Outline:
    """The top level of payback.toml."""

    business: Business = field(default_factory=Business)
    warehouse: _Warehouse = field(default_factory=_Warehouse)
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    channels: tuple[ChannelRule, ...] = ()
    schedule: Schedule = field(default_factory=Schedule)
    serve: Serve = field(default_factory=Serve)
    retention: Retention = field(default_factory=Retention)
    alerts: Alerts = field(default_factory=Alerts)
    deliveries: tuple[Subscriber, ...] = ()
    dashboard: Dashboard = field(default_factory=Dashboard)


def _check_business(business: Business, place: Place) -> None:
    check_language(business.language, place.of("business").of("language"))
    if not re.fullmatch(r"[A-Z]{3}", business.currency):
        raise ConfigError(f"{place.of('business').of('currency')}: a currency is an ISO code such as RUB")
    try:
        zone_of(business.timezone)
    except ConfigError as error:
        raise ConfigError(f"{place.of('business').of('timezone')}: {error}", hint=error.hint) from None


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name. Raises ConfigError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"{name!r} is no time zone", hint="use an IANA name such as Europe/Moscow") from None


def _source(name: str, table: Mapping[str, Any], place: Place, variables: Mapping[str, str], home: Path) -> SourceSettings:
    check_name(name, place)
    try:
        kind: Any = registry.kind(str(table.get("kind", "")))
    except OptionError as error:
        raise ConfigError(f"{place.of('kind')}: {error}", hint=error.hint) from None
    options: Any = build(kind.OPTIONS, {key: value for key, value in table.items() if key != "kind"}, place, variables)
    if isinstance(getattr(options, "path", None), str):
        options = replace(options, path=str(home / options.path))
    return SourceSettings(name, table["kind"], options)


def _at_home(url: str, home: Path) -> str:
    """A relative path means the folder that holds config/ and .env, wherever the command is run from: cron runs anywhere."""
    scheme, slashes, path = url.partition(":///")
    if scheme != "duckdb" or not slashes or path.startswith((":", "/")):
        return url
    return f"duckdb:///{home / path}"


def open_source(source: SourceSettings, settings: Settings) -> Connector | Reader:
    """The connector or reader of a configured source. Raises OptionError."""
    surroundings = Surroundings(timezone=settings.business.zone, hash_key=settings.hash_key)
    kind: Any = registry.kind(source.kind)
    opened: Connector | Reader = kind.open(source.options, surroundings)
    return opened
