"""A school and a repair shop as their owners configure and export them. Every week is like the next, to be counted by hand."""

from datetime import date, datetime, timedelta
from pathlib import Path

FIRST = date(2026, 3, 2)  # a Monday
LAUNCHED = date(2026, 8, 3)  # 22 weeks later
N_WEEKS = 34

# A week of the school: in which stage its 20 enquiries stand in the end.
SCHOOL_BEFORE = {"Новая заявка": 10, "Не пришел на пробный": 2, "Был на пробном": 4, "Договор подписан": 2, "Оплачено": 2}
SCHOOL_SINCE = {"Новая заявка": 8, "Не пришел на пробный": 2, "Был на пробном": 3, "Договор подписан": 3, "Оплачено": 4}

# A week of the shop, 20 calls: how far each came, and after how many days. The file has a column of dates for each step.
REPAIR_STEPS = {"Диагностика": 0, "Смета согласована": 1, "Отремонтировано": 3, "Оплачено": 3}
REPAIR_BEFORE = {"": 4, "Диагностика": 6, "Смета согласована": 2, "Отремонтировано": 2, "Оплачено": 6}
REPAIR_SINCE = {"": 4, "Диагностика": 2, "Смета согласована": 2, "Отремонтировано": 4, "Оплачено": 8}
REPAIR_FUNNEL = """
[[steps]]
key = "call"
role = "lead"
name = "Звонок"
[[steps]]
key = "diagnosed"
name = { ru = "Диагностика", en = "Diagnosed" }
[[steps]]
key = "agreed"
role = "booked"
name = "Смета согласована"
[[steps]]
key = "repaired"
role = "visited"
name = "Отремонтировано"
[[steps]]
key = "paid"
name = "Оплата"

[metrics.agreed_rate]
reached = "agreed"
of = "diagnosed"
title = "Согласие после диагностики"

[titles]
leads = "Звонки"
show_rate = "Доведено до ремонта"
"""
REPAIR_STAGES = """
[crm.lead]
"звонок" = "call"
"диагностика" = "diagnosed"
"согласие" = "agreed"
"готово" = "repaired"
"деньги" = "paid"
"""
REPAIR_CONFIG = """
[business]
name = "Ремонт"
[sources.crm]
kind = "files"
path = "calls.csv"
[sources.crm.milestones]
"диагностика" = "Диагностика"
"согласие" = "Смета согласована"
"готово" = "Отремонтировано"
"деньги" = "Оплачено"
"""
LAUNCH = f"""
[assistant]
title = "Ассистент"
started_on = {LAUNCHED}
margin = 0.5
horizon_days = 14
[assistant.costs]
one_off = 1000
"""
# Beside the configuration: how many calls were looked at on the same day, of those looked at.
SAME_DAY = """-- title: Диагностика в день звонка
-- unit: share
-- better: higher
-- definition: Calls diagnosed within a day, of those diagnosed within the horizon.
select
    created_on, channel, branch, owner_id,
    count(case when diagnosed_hours <= 24 and diagnosed_hours <= :horizon_hours then 1 end) as numerator,
    count(case when diagnosed_hours <= :horizon_hours then 1 end) as denominator
from funnel
where created_on >= :start and created_on < :end
group by created_on, channel, branch, owner_id
"""


def school_export(path: Path) -> None:
    """The school's leads, each in the stage it stands in, reached two days after it came."""
    lines = ["ID;Дата создания;Стадия;Дата изменения стадии;Сумма;Источник"]
    for number, (made_on, stage) in enumerate(_weeks(SCHOOL_BEFORE, SCHOOL_SINCE), start=1):
        moved = made_on + timedelta(days=0 if stage == "Новая заявка" else 2)
        amount = 12000 if stage == "Оплачено" else ""
        lines.append(f"{number};{made_on:%d.%m.%Y %H:%M};{stage};{moved:%d.%m.%Y %H:%M};{amount};Сайт")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def repair_export(path: Path) -> None:
    """The shop's calls with a column of dates for each step; who came far came through every step before."""
    steps = list(REPAIR_STEPS)
    lines = [";".join(["ID", "Дата создания", "Стадия", "Сумма", *steps])]
    for number, (made_on, last) in enumerate(_weeks(REPAIR_BEFORE, REPAIR_SINCE), start=1):
        reached = steps[: steps.index(last) + 1] if last else []
        days = [f"{made_on + timedelta(days=REPAIR_STEPS[step]):%d.%m.%Y}" if step in reached else "" for step in steps]
        lines.append(";".join([str(number), f"{made_on:%d.%m.%Y %H:%M}", "Звонок", "5000" if last == "Оплачено" else "", *days]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def repair_shop(folder: Path) -> Path:
    """Export and configuration in `folder`; the folder of the configuration."""
    repair_export(folder / "calls.csv")
    config = folder / "config"
    (config / "metrics").mkdir(parents=True)
    texts = {"payback": REPAIR_CONFIG, "stages": REPAIR_STAGES, "launches": LAUNCH, "funnel": REPAIR_FUNNEL}
    for name, text in texts.items():
        (config / f"{name}.toml").write_text(text, encoding="utf-8")
    (config / "metrics" / "same_day.sql").write_text(SAME_DAY, encoding="utf-8")
    return config


def _weeks(before: dict[str, int], since: dict[str, int]) -> list[tuple[datetime, str]]:
    """(created, stage) of every lead: all stages spread over the days of each week."""
    found = []
    for week in range(N_WEEKS):
        monday = FIRST + timedelta(weeks=week)
        stages = [stage for stage, n in (since if monday >= LAUNCHED else before).items() for _ in range(n)]
        for n, stage in enumerate(stages):
            found.append((datetime.combine(monday + timedelta(days=n % 7), datetime.min.time()) + timedelta(hours=12), stage))
    return found
