"""What starts Payback on a Linux host: systemd units and a cron line, with absolute paths, out of the configuration."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.schedule import Timetable, cron_weekdays
from pipeline.settings import Settings

KINDS = ("serve", "run", "timer")
BACKUP_AT = "15 6 * * *"
BACKUP_DAYS = 14

_HARDENED = """\
User=payback
Group=payback
WorkingDirectory={folder}
# matplotlib keeps its fonts here
CacheDirectory=payback
Environment=MPLCONFIGDIR=/var/cache/payback
UMask=0077
NoNewPrivileges=true
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome={protect_home}
ReadWritePaths={home}
PrivateTmp=true
PrivateDevices=true
ProtectClock=true
ProtectControlGroups=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
LockPersonality=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""

_SERVE = """\
# /etc/systemd/system/payback.service, made by `payback schedule --systemd`
[Unit]
Description=Payback: nightly runs of {name}, dashboard, webhooks
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=exec
ExecStart={command} serve{options}
Restart=on-failure
RestartSec=30
# a running sync ends with the page in flight
TimeoutStopSec=40
KillMode=mixed
{hardened}
[Install]
WantedBy=multi-user.target
"""

_RUN = """\
# /etc/systemd/system/payback-run.service, made by `payback schedule --systemd=run`: one night; payback-run.timer starts it
[Unit]
Description=Payback: one nightly run of {name}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart={command} run --out {out}
# done except for some sources (7), and nothing to measure yet (9), are no failures of the service
SuccessExitStatus=7 9
TimeoutStopSec=40
{hardened}"""

_TIMER = """\
# /etc/systemd/system/payback-run.timer, made by `payback schedule --systemd=timer`: instead of `payback serve`
[Unit]
Description=Payback: starts the nightly run of {name}

[Timer]
OnCalendar={calendar}
# a night missed while the host was off is run when it is back
Persistent=true

[Install]
WantedBy=timers.target
"""


def systemd_unit(kind: str, settings: Settings, table: Timetable, options: Sequence[str] = ()) -> str:
    """The unit of a kind: `serve` (with `options` of that command), `run` or its `timer`."""
    home = settings.home
    needed = (home, Path(executable()[0]))
    is_in_home = any(path.is_relative_to(place) for path in needed for place in ("/home", "/root", "/run/user"))
    folder = str(home).replace("%", "%%")  # systemd takes this one without quotes, and dollars as they are
    hardened = _HARDENED.format(folder=folder, home=_quoted(folder), protect_home="read-only" if is_in_home else "true")
    command = _of_command(*executable(), "--config", settings.folder.resolve())
    form = {"serve": _SERVE, "run": _RUN, "timer": _TIMER}[kind]
    return form.format(
        name=" ".join(settings.business.name.split()).replace("%", "%%") or "the business",
        command=command,
        options=f" {_of_command(*options)}" if options else "",
        hardened=hardened,
        out=_of_command(home / "out"),
        calendar=calendar(table) if kind == "timer" else "",
    )


def cron_lines(settings: Settings, table: Timetable, host_zone: str) -> str:
    """A crontab of the user Payback runs as: the night without `payback serve`, and a backup a day, for a host whose clock is
    that of `host_zone`."""
    lines = []
    if host_zone != table.zone.key:
        lines += [
            f"# The clock of this host is {host_zone}, that of the business {table.zone.key}. Debian's cron knows no CRON_TZ:",
            "# there use `payback schedule --systemd=timer`, or give the host the zone of the business.",
            f"CRON_TZ={table.zone.key}",
        ]
    night = _of_cron(settings, "run", "--out", str(settings.home / "out"))
    return "\n".join([*lines, f"{' '.join(_fields(table))} {night}"]) + "\n" + backup_line(settings)


def backup_line(settings: Settings) -> str:
    """A line of a crontab: one backup a day, those older than two weeks thrown away once a newer one is there."""
    old = ["find", str(settings.home / "backups"), "-name", "payback-*.duckdb", "-mtime", f"+{BACKUP_DAYS}", "-delete"]
    return f"{BACKUP_AT} {_of_cron(settings, 'backup', then=old)}\n"


def _of_cron(settings: Settings, *words: str, then: Sequence[str] = ()) -> str:
    """A command as a crontab holds it. Cron knows neither our folder nor a program in /usr/local/bin, and mails to nobody."""
    home = shlex.quote(str(settings.home))
    log = shlex.quote(str(settings.home / "payback.log"))
    command = f"cd {home} && {shlex.join([*executable(), '--config', str(settings.folder.resolve()), *words])} >> {log} 2>&1"
    return (command + (f" && {shlex.join(then)}" if then else "")).replace("%", r"\%")


def executable() -> list[str]:
    """The words that start Payback as it was started now, by absolute paths."""
    beside = Path(sys.executable).with_name("payback")
    return [str(beside)] if beside.exists() else [sys.executable, "-c", "from pipeline.cli import run; run()"]


def calendar(table: Timetable) -> str:
    """The timetable as systemd writes it (systemd.time(7)). Raises ConfigError for what it has no words for."""
    minute, hour, day, month, weekday = _fields(table)
    days = "" if weekday == "*" else ",".join(name.title() for name in cron_weekdays(weekday).split(",")) + " "
    parts = [_of_calendar(field, low) for field, low in ((month, 1), (day, 1), (hour, 0), (minute, 0))]
    return f"{days}*-{parts[0]}-{parts[1]} {parts[2]}:{parts[3]}:00 {table.zone.key}"


def _fields(table: Timetable) -> list[str]:
    """The five fields of cron."""
    if ":" in table.text:
        hour, minute = table.text.split(":")
        return [str(int(minute)), str(int(hour)), "*", "*", "*"]
    return table.text.lower().split()


def _of_calendar(field: str, low: int) -> str:
    items = []
    for item in field.split(","):
        known = re.fullmatch(r"(?:(\*)|(\d+)(?:-(\d+))?)(?:/(\d+))?", item)
        if known is None:
            raise ConfigError(
                f"systemd has no words for {item!r} in [schedule] run", hint="use `payback serve`, or numbers instead of names"
            )
        star, first, last, step = known.groups()
        begin = "*" if star and not step else f"{low:02d}" if star else f"{int(first):02d}"
        items.append(begin + (f"..{int(last):02d}" if last else "") + (f"/{step}" if step else ""))
    return ",".join(items)


def _of_command(*words: Path | str) -> str:
    """Words of a command line, `%` and `$` taken literally."""
    return " ".join(_quoted(str(word).replace("%", "%%").replace("$", "$$")) for word in words)


def _quoted(word: str) -> str:
    if re.fullmatch(r"[\w./:%$+@=-]+", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
