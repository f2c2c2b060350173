"""`payback check`: everything that would go wrong at night, found by day: config, connection, scopes, mapping, data."""

import os
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from connectors import engine
from connectors.contract import Connector, Walk
from connectors.errors import SourceError
from connectors.memory import MemorySink
from connectors.records import Stage
from pipeline.accounting import measure_programme
from pipeline.errors import ConfigError, NothingToMeasure, NoWarehouse, PipelineError
from pipeline.measurement import measure
from pipeline.periods import AsOf
from pipeline.programmes import Programme
from pipeline.run import as_of_from, open_warehouse
from pipeline.settings import Settings, SourceSettings, open_source
from pipeline.stages import StageRule
from pipeline.strict import nearest
from pipeline.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Line:
    """One thing looked at: ok, info, warning or error."""

    severity: str
    text: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def inspect(settings: Settings) -> list[Line]:
    """Look at everything; faults become lines, never exceptions, so that one bad source does not hide the next."""
    lines = [Line("ok", f"configuration in {settings.folder} is valid")]
    for source in settings.sources:
        lines += _source(source, settings)
    if not settings.sources:
        lines.append(Line("error", "no source is configured: add a [sources.NAME] table to payback.toml"))
    if not settings.launches:
        lines.append(Line("warning", "no launch is configured: add one to launches.toml"))
    lines += _funnel(settings)
    return [*lines, *_spend(settings), *_alerts(settings), *_deliveries(settings), *_rights(settings), *_data(settings)]


def _spend(settings: Settings) -> list[Line]:
    """Whether the lists of ad spend can be read, and up to which day they tell."""
    try:
        spend = settings.spend()
    except ConfigError as error:
        return [Line("error", f"{error} -> {error.hint}")]
    if spend is None:
        return []
    last = max((last for spans in spend.known.values() for _, last in spans), default=None)
    lines = [Line("ok", f"ad spend of {len(spend.channels)} channels is known up to {last}")]
    known = [rule.name for rule in settings.channels]
    for channel in spend.channels if known else ():
        if channel not in known:  # its money would stand beside no lead, and nobody would miss it
            text = f"ad spend names the channel {channel!r}, which no [[channels]] of payback.toml is called"
            lines.append(Line("warning", f"{text}{nearest(channel, known)}"))
    return lines


def _alerts(settings: Settings) -> list[Line]:
    """Whether anybody would be told at all; whether messages arrive, only `payback alerts test` can say."""
    if not settings.alerts.to and settings.alerts.bitrix24 is None:
        return [Line("info", "nobody is told when something needs a person: docs/alerts.md says how to fill [alerts]")]
    from pipeline.channels import unusable  # apprise takes long to import

    return [Line("error", f"{error} -> {error.hint}") for error in unusable(settings)]


def _deliveries(settings: Settings) -> list[Line]:
    """Whether the addresses of the weekly report can be used; whether it arrives, only `payback deliver --test` can say."""
    if not settings.deliveries:
        return [Line("info", "nobody gets the weekly report: docs/deliveries.md says how to fill [[deliveries]]")]
    from pipeline.parcels import unusable

    return [Line("error", f"{error} -> {error.hint}") for error in unusable(settings)]


def _rights(settings: Settings) -> list[Line]:
    """Files with secrets or business figures that other users of the machine may read."""
    home = settings.folder.resolve().parent
    _, _, warehouse = settings.warehouse_url.reveal().partition("duckdb:///")
    lines = []
    for path in (home / ".env", *([Path(warehouse)] if warehouse else [])):
        with suppress(OSError):  # not there, or elsewhere said to be unreadable
            if os.name == "posix" and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
                lines.append(Line("warning", f"{path} may be read by other users of this machine: chmod 600 {path}"))
    return lines


def _source(source: SourceSettings, settings: Settings) -> list[Line]:
    """Connect, read the dictionaries, compare the stages with the mapping."""
    sink = MemorySink()
    try:
        connector = open_source(source, settings)
        engine.pull(connector, sink, only=lambda stream: stream.walk is Walk.WHOLE)
    except SourceError as error:
        return [Line("error", f"{source.name}: {error}" + (f" -> {error.hint}" if error.hint else ""))]
    kind = "answers, its webhook is alive and its scopes suffice" if isinstance(connector, Connector) else "can be read"
    stages = sink.live(Stage)
    unmapped = [stage for stage in stages if not _is_mapped(stage, source.name, settings.stages)]
    lines = [Line("ok", f"{source.name}: {kind}")]
    if unmapped:
        names = "; ".join(f"{stage.entity} {stage.stage_id} «{stage.name}»" for stage in unmapped[:10])
        text = f"{source.name}: {len(unmapped)} of {len(stages)} stages stand nowhere in stages.toml: {names}"
        lines.append(Line("warning", text))
    elif stages:
        lines.append(Line("ok", f"{source.name}: all {len(stages)} stages are mapped"))
    return lines


def _is_mapped(stage: Stage, source: str, rules: tuple[StageRule, ...]) -> bool:
    return any(
        rule.source == source
        and rule.entity == stage.entity
        and rule.stage_id == stage.stage_id
        and rule.pipeline_id in ("*", stage.pipeline_id)
        for rule in rules
    )


def _funnel(settings: Settings) -> list[Line]:
    """Steps of the business's own funnel that no stage leads to."""
    own = settings.funnel
    if own.is_empty:
        return []
    told = "of funnel.toml stands nowhere in stages.toml: no stage leads to it, reports leave it out"
    mapped = own.mapped(rule.milestone for rule in settings.stages)
    lines = [Line("warning", f"the step {step.key!r} {told}") for step in own.steps if step.key not in mapped]
    if own.steps and "booked" not in {step.role for step in own.steps}:
        text = "no step of funnel.toml plays the role 'booked': visits are counted of all leads, without bookings between"
        lines.append(Line("info", text))
    return lines or [Line("ok", f"funnel: {len(own.steps)} steps, {len(own.metrics)} metrics of your own")]


def _data(settings: Settings) -> list[Line]:
    """The findings of each launch on what the warehouse holds now."""
    lines = []
    try:
        warehouse = open_warehouse(settings)
        warehouse.check_schema()
        moment = as_of_from(None, settings)
        for launch in settings.launches:
            try:
                with warehouse.reading(moment.seen_until) as reading:
                    measured = measure(reading, launch, settings, moment)
            except NothingToMeasure as error:
                lines.append(Line("warning", f"{launch.name}: {error}" + (f" -> {error.hint}" if error.hint else "")))
                continue
            lines.append(Line("ok", f"{launch.name}: trust score {measured.trust_score} of 100"))
            for finding in measured.findings:
                figures = ", ".join(
                    f"{key} {value:.1%}" if key == "share" else f"{key} {value}" for key, value in finding.detail.items()
                )
                subject = "" if finding.subject == "journeys" else f" {finding.subject!r}"
                text = f"{launch.name}: {finding.code}{subject}: {finding.n}" + (f" ({figures})" if figures else "")
                lines.append(Line(finding.severity, text))
        for programme in settings.programmes:
            lines.append(_programme(warehouse, programme, settings, moment))
    except NoWarehouse as error:
        lines.append(Line("warning", f"warehouse: {error}" + (f" -> {error.hint}" if error.hint else "")))
    except PipelineError as error:
        lines.append(Line("error", f"{error}" + (f" -> {error.hint}" if error.hint else "")))
    return lines


def _programme(warehouse: Warehouse, programme: Programme, settings: Settings, moment: AsOf) -> Line:
    """Whether the night will be able to account for it. Its pool is looked at only when it is measured."""
    try:
        with warehouse.reading(moment.seen_until) as reading:
            measured = measure_programme(reading, programme, settings, moment)
    except (NothingToMeasure, ConfigError) as error:
        severity = "warning" if isinstance(error, NothingToMeasure) else "error"
        return Line(severity, f"{programme.name}: {error}" + (f" -> {error.hint}" if error.hint else ""))
    n_told = sum(one.state == "told" for one in measured.modules)
    return Line("ok", f"{programme.name}: a programme of {len(measured.modules)} modules, {n_told} of them told apart")
