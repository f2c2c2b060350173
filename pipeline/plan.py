"""`payback plan holdout`: a randomised hold-out for a launch, planned from what the warehouse knows of it."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from pipeline.errors import ConfigError, NothingToMeasure
from pipeline.holdout import MAX_WEEKS, WEEKS_SHOWN, HoldoutPlan, plan_holdout
from pipeline.launches import Launch
from pipeline.measurement import Measurement, measure
from pipeline.periods import monday_after
from pipeline.run import as_of_from, open_warehouse, refuse_before_memory
from pipeline.settings import Settings

# The pace of the last weeks: a hold-out runs from now on, not through last summer.
RECENT_WEEKS = 8
DEFAULT_SHARE = 0.5
# The last step that the CRM records for a share of the leads, latest first.
OUTCOMES = ("visit_conversion", "booking_conversion")


@dataclass(frozen=True, slots=True)
class LaunchHoldout:
    """The plan, and where its figures come from: `metric` over the leads of `n_weeks` weeks from `first_week` on."""

    launch: Launch
    as_of: str
    metric: str
    first_week: date
    n_weeks: int
    n_leads: float
    starts_on: date
    plan: HoldoutPlan

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        splits = [{**asdict(split), "smallest": dict(zip(map(str, WEEKS_SHOWN), split.smallest, strict=True))}
                  for split in self.plan.splits]  # fmt: skip
        baseline = {"metric": self.metric, "rate": self.plan.baseline, "first_week": self.first_week, "n_weeks": self.n_weeks,
                    "n_leads": self.n_leads}  # fmt: skip
        return {"schema_version": 1, "launch": self.launch.name, "as_of": self.as_of, "starts_on": self.starts_on,
                **asdict(self.plan), "is_practical": self.plan.is_practical, "baseline": baseline, "splits": splits}  # fmt: skip

    def lines(self) -> Iterator[str]:
        """For people: who, how, how long."""
        plan, split = self.plan, self.plan.chosen
        after = plan.baseline * (1 + plan.effect)
        yield f"{self.launch.name} ({self.launch.title}): {plan.share:.0%} of the leads keep the old process, by chance alone"
        yield ""
        yield f"who       a lead is held out when the first 16 digits of sha256({plan.salt}:LEAD_ID) sort below {plan.below}"
        yield f"check     printf %s {shlex.quote(f'{plan.salt}:LEAD_ID')} | sha256sum | cut -c1-16"
        yield (f"baseline  {self.metric.replace('_', ' ')} {plan.baseline:.1%}: {self.n_leads:.0f} leads of {self.n_weeks} weeks "
               f"from {self.first_week}; {plan.leads_a_week:.1f} leads a week lately")
        yield f"to see    {plan.effect:+.0%}: {plan.baseline:.1%} -> {after:.1%}, with 80 % power at 5 %"
        yield (f"needs     {split.n_held} held out + {split.n_treated} treated = {split.n_held + split.n_treated} leads: "
               f"{split.weeks} weeks, and {plan.horizon_days} days until the last outcomes are in")
        if not plan.is_practical:
            yield f"          more than {MAX_WEEKS} weeks is no plan: choose an --effect that the table shows within reach"
        yield ""
        yield f"{'':31}smallest rise seen in"
        heads = "".join(f"{f'{weeks} weeks':>10}" for weeks in WEEKS_SHOWN)
        yield f"{'held out':>8}{'leads':>12}{'weeks':>8}{heads}"
        for other in plan.splits:
            seen = "".join(f"{'-' if rise is None else f'+{rise:.0%}':>10}" for rise in other.smallest)
            yield f"{other.share:>8.0%}{other.n_held + other.n_treated:>12}{other.weeks:>8}{seen}"
        yield ""
        yield from (f"{number}. {_words(step.code, step.figures)}" for number, step in enumerate(plan.steps, 1))
        yield ""
        yield "when it starts, put into launches.toml, so that it is known who was held out:"
        yield f"  [{_quoted(self.launch.name)}.holdout]"
        yield f"  share = {plan.share:g}"
        yield f"  salt = {json.dumps(plan.salt, ensure_ascii=False)}"
        yield f"  started_on = {self.starts_on}"


def plan_launch_holdout(settings: Settings, launch: Launch, *, share: float | None = None, effect: float,
                        as_of: date | datetime | None = None) -> LaunchHoldout:
    """Plan a hold-out from the leads before the launch; one that has not started yet is planned from all leads.

    `share` None: that of the running hold-out, else half. `effect`: relative. Raises ConfigError for a share or effect that
    cannot be, NothingToMeasure without leads or outcomes before the launch.
    """
    warehouse = open_warehouse(settings)
    warehouse.check_schema()
    moment = as_of_from(as_of, settings)
    with warehouse.reading(moment.seen_until) as reading:
        refuse_before_memory(reading, moment)
        found = measure(reading, replace(launch, started_on=min(launch.started_on, moment.on)), settings, moment, is_brief=True)
    metric, baseline = _baseline(found)
    running = launch.holdout
    chosen = share if share is not None else running.share if running else DEFAULT_SHARE
    try:
        plan = plan_holdout(
            baseline=baseline, effect=effect, leads_a_week=_leads_a_week(found), horizon_days=found.periods.horizon_days,
            salt=running.salt if running else launch.name, share=chosen,
        )  # fmt: skip
    except ValueError as error:
        raise ConfigError(f"no hold-out can be planned: {error}") from None
    pre = found.periods.pre_weeks
    starts_on = running.started_on if running else monday_after(max(launch.started_on, moment.on + timedelta(days=1)))
    return LaunchHoldout(
        launch, moment.text, metric, pre[0], len(pre), found.metrics["leads"].pre.sums["n"], starts_on, plan
    )  # fmt: skip


def _baseline(found: Measurement) -> tuple[str, float]:
    """The last step that anybody reached, and its rate before the launch."""
    for name in OUTCOMES:
        rate = found.metrics[name].pre.value
        if rate:
            return name, rate
    raise NothingToMeasure(
        "no lead from before the launch was booked or visited: there is no rate to compare with",
        hint="say in stages.toml which stages mean booked and visited; `payback check` lists them",
    )


def _leads_a_week(found: Measurement) -> float:
    periods = found.periods
    counted = {*periods.pre_weeks, *periods.post_weeks}
    leads = [n for week, n in zip(periods.weeks, found.metrics["leads"].weekly["n"], strict=True) if week in counted]
    recent = leads[-RECENT_WEEKS:]
    return float(sum(recent) / len(recent))


def _quoted(key: str) -> str:
    """A key as TOML wants it."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _words(code: str, figures: dict[str, str | float]) -> str:
    """A step of the instruction as a sentence."""
    texts = {
        "assign": "decide by the rule the moment a lead gets its id; nobody chooses, nobody looks first",
        "old_process": "a lead held out is handled as before the launch, to the end; everybody else as now",
        "never_switch": "a lead never changes its group; one handled by mistake stays where the rule put it",
        "same_person": "a customer who writes twice may fall into both groups: that makes the effect look smaller, never larger",
        "decide_once": "look at the result once, after {weeks} weeks and {horizon_days} days, not every Monday",
        "check_split": "the share held out must come out near {share:.0%}: if not (p < {p_value:g}), the rule was not followed",
    }
    return texts[code].format(**figures)
