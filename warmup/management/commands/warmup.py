"""`manage.py warmup VERB`: every verb of the services, for scripts and for a terminal.

Errors are one line each on stderr with exit code 1; bad usage exits 2.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.table import Table

from core.errors import InvalidInput, WarmupError
from warmup import loading, reporting, schedules, services
from warmup.console import watch
from warmup.models import LogLine
from warmup.states import TaskStatus

FOLLOW_SECONDS = 0.5


class Command(BaseCommand):
    help = "Load, start, watch and stop warm-up tasks."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

        def verb(name: str, about: str, *, task: bool = True, optional: bool = False) -> CommandParser:
            sub: CommandParser = verbs.add_parser(name, help=about, description=about)
            if task:
                sub.add_argument(
                    "task", metavar="TASK", nargs="?" if optional else None, help="a task's name or id"
                )
            sub.add_argument("--json", action="store_true", help="print JSON")
            return sub

        verb(
            "load", "Load sites, proxies, accounts, playbooks and tasks from a JSON or YAML file.", task=False
        ).add_argument("file", metavar="FILE", help="the file; - for standard input")
        verb("start", "Start a task.").add_argument(
            "--wait", action="store_true", help="wait for the end; exit 0 only if it is COMPLETED"
        )
        verb("pause", "Take no more runs of a task, and give the running ones back at their next step.")
        verb("resume", "Go on with a paused task, or with its parked accounts.").add_argument(
            "--account", metavar="USERNAME", help="only this parked account"
        )
        doubt = verb("settle", "Settle whether a step of an account that is parked in doubt has happened.")
        doubt.add_argument("--account", metavar="USERNAME", required=True)
        answer = doubt.add_mutually_exclusive_group(required=True)
        answer.add_argument("--happened", action="store_true", help="go on behind the step")
        answer.add_argument("--again", action="store_true", help="do the step again")
        verb("stop", "End a task.").add_argument(
            "--force", action="store_true", help="also when a page, a browser or a worker hangs or is gone"
        )
        again = verb("restart", "Run failed and stopped accounts again, or all.")
        which = again.add_mutually_exclusive_group()
        which.add_argument("--failed", dest="which", action="store_const", const="failed", default="failed")
        which.add_argument("--all", dest="which", action="store_const", const="all")
        again.add_argument(
            "--latest-playbook", action="store_true", help="with the playbook's newest version"
        )
        verb("status", "Show a task, or all of them.", optional=True)
        logs = verb("logs", "Show a task's log.")
        logs.add_argument("--account", metavar="USERNAME")
        logs.add_argument("--level", default="INFO", choices=LogLine.Level.values)
        logs.add_argument("--follow", action="store_true", help="go on until the task ends")
        verb("plan", "Show the concrete steps of each account; nothing is opened.")
        verb("reconcile", "Make the queue agree with the database, and start what is due.", task=False)

    def handle(self, *_: Any, **options: Any) -> None:
        self.json: bool = options["json"]
        action: Callable[[dict[str, Any]], None] = getattr(self, f"do_{options['verb']}")
        try:
            action(options)
        except InvalidInput as error:
            for fault in error.faults:
                self.stderr.write(self.style.ERROR(fault))
            sys.exit(1)
        except WarmupError as error:
            self.stderr.write(self.style.ERROR(str(error)))
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(130)

    def _say(self, values: dict[str, Any], sentence: str) -> None:
        self.stdout.write(json.dumps(values, ensure_ascii=False) if self.json else sentence)

    def _console(self) -> Console:
        """Tables at the terminal's width; without one, wide enough to be read by programs."""
        stream = cast(TextIO, self.stdout)
        return Console(file=stream, markup=False, highlight=False, width=None if stream.isatty() else 200)

    # ---- verbs that change something ---------------------------------------------------------------

    def do_load(self, options: dict[str, Any]) -> None:
        name = options["file"]
        try:
            content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            text = content.decode("utf-8-sig")
        except OSError as error:
            raise InvalidInput([f"{name}: cannot be read: {error.strerror}"]) from None
        except UnicodeDecodeError as error:
            raise InvalidInput([f"{name}: is not UTF-8 (byte {error.start})"]) from None
        report = loading.load(text, source=name, by=None)
        parts = [
            f"{kind}: {n['created']} new, {n['changed']} changed, {n['same']} as before"
            for kind, n in report.items()
        ]
        self._say(report, "\n".join(parts) or "the file is empty: nothing to load")

    def do_start(self, options: dict[str, Any]) -> None:
        task = services.find_task(options["task"])
        count = services.start(task, by=None)
        if not options["wait"]:
            self._say({"id": task.pk, "started": count}, f"started '{task}': {count} accounts are queued")
            return
        status = watch(task, Console(stderr=True, highlight=False), quiet=self.json)
        task.refresh_from_db()
        result = reporting.task_status(task)
        if self.json:
            self.stdout.write(json.dumps(result, ensure_ascii=False))
        else:
            self._show(result)
        sys.exit(0 if status == TaskStatus.COMPLETED else 1)

    def do_pause(self, options: dict[str, Any]) -> None:
        task = services.find_task(options["task"])
        services.pause(task, by=None)
        self._say({"id": task.pk, "status": "PAUSED"}, f"paused '{task}'")

    def do_resume(self, options: dict[str, Any]) -> None:
        task = services.find_task(options["task"])
        if options["account"]:
            services.unpark(services.find_run(task, options["account"]), by=None)
            self._say({"id": task.pk, "waiting": 1}, f"resumed '{options['account']}' in '{task}'")
            return
        count = services.resume(task, by=None)
        self._say({"id": task.pk, "waiting": count}, f"resumed '{task}': {count} accounts are queued")

    def do_settle(self, options: dict[str, Any]) -> None:
        task = services.find_task(options["task"])
        run = services.find_run(task, options["account"])
        services.settle(run, happened=options["happened"], by=None)
        self._say({"id": task.pk, "waiting": 1}, f"settled '{options['account']}' in '{task}'")

    def do_stop(self, options: dict[str, Any]) -> None:
        task = services.find_task(options["task"])
        live = services.stop(task, by=None, force=options["force"])
        self._say({"id": task.pk, "stopping": live}, f"stopping '{task}': {live} accounts had not ended")

    def do_restart(self, options: dict[str, Any]) -> None:
        task = services.find_task(options["task"])
        count = services.restart(
            task, which=options["which"], by=None, latest_playbook=options["latest_playbook"]
        )
        self._say({"id": task.pk, "restarted": count}, f"restarted '{task}': {count} accounts are queued")

    def do_reconcile(self, _: dict[str, Any]) -> None:
        done = services.reconcile() | schedules.fire_due()
        self._say(done, ", ".join(f"{name} {count}" for name, count in done.items()))

    # ---- verbs that show something -----------------------------------------------------------------

    def do_status(self, options: dict[str, Any]) -> None:
        if options["task"] is None:
            summaries = reporting.all_tasks()
            if self.json:
                self.stdout.write(json.dumps({"tasks": summaries}, ensure_ascii=False))
                return
            table = Table("id", "name", "status", "progress", "accounts", box=None)
            for task in summaries:
                table.add_row(
                    str(task["id"]),
                    task["name"],
                    task["status"],
                    f"{task['progress']:.0%}",
                    str(sum(task["counts"].values())),
                )
            self._console().print(table)
            return
        result = reporting.task_status(services.find_task(options["task"]))
        if self.json:
            self.stdout.write(json.dumps(result, ensure_ascii=False))
        else:
            self._show(result)

    def _show(self, result: dict[str, Any]) -> None:
        counts = ", ".join(f"{n} {status}" for status, n in result["counts"].items() if n)
        console = self._console()
        console.print(result["name"], style="bold", end=" ")
        console.print(f"{result['status']} {result['progress']:.0%} ({counts or 'no runs yet'})")
        table = Table("account", "status", "attempt", "step", "reason / waits for", box=None)
        for run in result["accounts"]:
            why = run["detail"] or run["reason"] or run["waiting_for"] or ""
            table.add_row(
                run["username"], run["status"], str(run["attempt"]), f"{run['step']}/{run['steps']}", why
            )
        console.print(table)

    def do_plan(self, options: dict[str, Any]) -> None:
        task = services.find_task(options["task"])
        plans = reporting.plans(task)
        if self.json:
            self.stdout.write(
                json.dumps({"id": task.pk, "name": task.name, "accounts": list(plans)}, ensure_ascii=False)
            )
            return
        for plan in plans:
            self.stdout.write(
                f"{plan['username']} (seed {plan['seed']}, starts after {plan['delay_seconds']:g} s)"
            )
            for step in plan["steps"]:
                mark = "" if step["effect"] == "repeatable" else f"  [{step['effect']}]"
                self.stdout.write(f"  {step['index'] + 1:>3}. {step['label']}{mark}")

    def do_logs(self, options: dict[str, Any]) -> None:
        task = services.find_task(options["task"])
        last = 0
        while True:
            ended = reporting.has_ended(task)  # before the lines: none of the last is missed
            lines = reporting.log_lines(task, after=last, username=options["account"], level=options["level"])
            for line in lines:
                last = line["id"]
                self._line(line)
            if ended or not options["follow"]:
                return
            time.sleep(FOLLOW_SECONDS)

    def _line(self, line: dict[str, Any]) -> None:
        if self.json:
            self.stdout.write(json.dumps(line, ensure_ascii=False))
        else:
            who = line["username"] or "-"
            self.stdout.write(
                f"{line['at'][:23]} {line['level']:<7} {who:<16} {line['event']} {line['text']}".rstrip()
            )
        self.stdout.flush()
