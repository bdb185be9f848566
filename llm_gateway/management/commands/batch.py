"""``manage.py batch create | list | show | wait | cancel | retry | results | files``"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from django.db.models import Q
from django.utils import timezone
from typing_extensions import override

from llm_gateway.actions import upload_batch
from llm_gateway.actions.retry_batch import retry_batch
from llm_gateway.core.money import format_usd
from llm_gateway.models import Batch, BatchLine, ClientKey, trail
from llm_gateway.stores import batch_ends, batch_results
from llm_gateway.wires._batch.table import Kind

from ._base import Command as Base

# Exit codes beside 0 (done), 1 (refused) and 2 (wrong arguments).
LINES_FAILED, TIME_OVER = 3, 4
PIECE = 256 << 10
POLL_S = 2.0
_COUNTS = ("total", "queued", "running", "completed", "failed", "expired", "cancelled")


class Command(Base):
    help = (
        "Batches for scripts. Exit code 0: done; 1: refused, with the reason; 2: wrong arguments; "
        "3: the batch ended, and some of its requests failed, expired or were cancelled; 4: --timeout is over."
    )

    @override
    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
        _create_arguments(verbs.add_parser("create", help="create a batch from a CSV or JSONL file and print its id"))
        listed = verbs.add_parser("list", help="the newest batches, a line each: id, state, ended/total, key, name")
        listed.add_argument("--key", metavar="NAME", help="only of this client key")
        listed.add_argument("--state", choices=[*Batch.State.values, "paused"])
        listed.add_argument("--limit", type=int, default=20, metavar="N", help="so many (20)")
        for verb, about in (
            ("show", "print one as JSON: counts, estimate, cost, errors by code"),
            ("wait", "wait until it has ended"),
            ("cancel", "begin nothing more; what runs is finished"),
            ("retry", "queue failed and expired requests of one that has ended"),
            ("results", "print results as JSONL, in the order of the requests"),
            ("files", "print the code of the answers as a zip"),
        ):
            one = verbs.add_parser(verb, help=about)
            one.add_argument("batch", metavar="ID")
            if verb == "wait":
                _wait_arguments(one)
            if verb == "results":
                one.add_argument("--errors", action="store_true", help="the failed and expired requests instead")

    @override
    def run(self, **options: Any) -> None:
        verbs: dict[str, Callable[[dict[str, Any]], None]] = {
            "create": self._create, "list": self._list, "show": self._show, "wait": self._wait, "cancel": self._cancel,
            "retry": self._retry, "results": self._results, "files": self._files,
        }  # fmt: skip
        verbs[options["verb"]](options)

    def _create(self, options: dict[str, Any]) -> None:
        name = options["file"]
        if options["prompt_file"]:
            options["prompt"] = _text_of(options["prompt_file"])
        snapshot = upload_batch.snapshot_now()
        identity = upload_batch.identity_of(snapshot, _public_id(options["key"]))
        wanted = upload_batch.Wanted(
            is_table=options["format"] == "csv" or (options["format"] is None and upload_batch.is_table(name)),
            prompt=options["prompt"] or "",
            model=options["model"],
            defaults={field: options[field] for field in ("max_tokens", "language", "score") if options[field]},
            economy=options["economy"],
        )
        now = timezone.now()
        checked = upload_batch.check(identity, "stdin" if name == "-" else Path(name).name, _pieces(name), wanted, snapshot, now)
        upload_batch.raise_first(checked)
        assert checked.file is not None
        expected = "unknown" if checked.expected is None else f"{format_usd(checked.expected)} USD"
        self.stderr.write(f"{checked.total} requests, expected cost {expected}")
        if options["dry_run"]:
            upload_batch.discard(checked.file)
            return
        batch = upload_batch.start(identity, _start(checked.file, checked.kind, options), snapshot, now)
        trail.record("did", batch, detail=f"Started from a file, under the client key {identity.name}.")
        self.say(str(batch))
        if options["wait"]:
            self._until_ended(batch, options["timeout"])

    def _list(self, options: dict[str, Any]) -> None:
        rows = Batch.objects.select_related("client_key").order_by("-created_at")
        if options["key"]:
            rows = rows.filter(client_key__public_id=_public_id(options["key"]))
        match options["state"]:
            case None:
                pass
            case "paused":
                rows = rows.exclude(pause_reason="")
            case state:
                rows = rows.filter(state=state, pause_reason="")
        for row in rows[: max(options["limit"], 0)]:
            ended = row.total - row.queued - row.running
            self.say(f"{row}\t{_state(row)}\t{ended}/{row.total}\t{row.client_key.name}\t{row.title}")

    def _show(self, options: dict[str, Any]) -> None:
        row = _found(options["batch"])
        codes = BatchLine.objects.filter(batch=row).exclude(error_code="").values_list("error_code", flat=True)
        errors: dict[str, int] = {}
        for code in codes.iterator():
            errors[code] = errors.get(code, 0) + 1
        told = {
            "id": str(row), "name": row.title, "key": row.client_key.name, "dialect": row.dialect, "state": _state(row),
            "pause_reason": row.pause_reason or None, "counts": {name: getattr(row, name) for name in _COUNTS},
            "estimate_usd": _usd(row.estimate_nusd), "worst_usd": _usd(row.worst_nusd), "cost_usd": _usd(batch_ends.cost(row)),
            "errors": errors, "faults": row.faults, "created_at": _moment(row.created_at), "started_at": _moment(row.started_at),
            "ends_at": _moment(row.ends_at), "ended_at": _moment(row.ended_at),
        }  # fmt: skip
        self.say(json.dumps(told, indent=2, ensure_ascii=False))

    def _wait(self, options: dict[str, Any]) -> None:
        self._until_ended(_found(options["batch"]), options["timeout"])

    def _until_ended(self, row: Batch, timeout_s: float | None) -> None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        said = ""
        while row.ended_at is None:
            if (now := _progress(row)) != said:
                said = now
                self.stderr.write(said)
            if deadline is not None and time.monotonic() >= deadline:
                raise CommandError(f"{row} has not ended within {timeout_s:g} s", returncode=TIME_OVER)
            rest = POLL_S if deadline is None else min(POLL_S, max(0.05, deadline - time.monotonic()))
            time.sleep(rest)  # noqa: TID251  # a command has no loop to wait on
            row.refresh_from_db()
        if row.state == "failed":
            raise CommandError("\n".join([f"{row} could not begin:", *_faults(row)]))
        self.stderr.write(_progress(row))
        if row.completed != row.total or row.state == "cancelled":
            bad = ", ".join(f"{getattr(row, name)} {name}" for name in ("failed", "expired", "cancelled") if getattr(row, name))
            raise CommandError(f"{row} ended {row.state}: {bad or 'nothing ran'} of {row.total}", returncode=LINES_FAILED)

    def _cancel(self, options: dict[str, Any]) -> None:
        row = _found(options["batch"])
        if row.ended_at is not None:
            raise CommandError(f"{row} has ended already: {row.state}")
        batch_ends.cancel(row.pk, timezone.now())
        trail.record("did", row, detail="Cancelled.")
        row.refresh_from_db()
        self.say(f"{row}: {_state(row)}, {row.cancelled} requests will not run")

    def _retry(self, options: dict[str, Any]) -> None:
        row = _found(options["batch"])
        count = retry_batch(row.pk, timezone.now())
        trail.record("did", row, detail=f"Queued {count} failed requests again.")
        self.say(f"{row}: {count} requests are queued again")

    def _results(self, options: dict[str, Any]) -> None:
        row = _found(options["batch"])
        name = "errors.jsonl" if options["errors"] else "results.jsonl"
        trail.record("read texts", row, detail=f"Printed {name}.")
        after = 0
        while True:
            after, text = batch_results.piece(row, after, "errors" if options["errors"] else "outputs")
            if not text:
                return
            self.stdout.write(text.decode(), ending="")

    def _files(self, options: dict[str, Any]) -> None:
        from llm_gateway.api.native.batch_zip import Archive

        row = _found(options["batch"])
        out: Any = getattr(sys.stdout, "buffer", sys.stdout)
        if out.isatty():
            raise CommandError("that is a zip: send it into a file, as in  manage.py batch files ID > code.zip")
        trail.record("read texts", row, detail="Printed code.zip.")
        archive, after = Archive(), 0
        while found := batch_results.page(row, after, ("completed",)):
            after = found[-1].number
            archive.add_all(found)
            out.write(archive.taken())
        out.write(archive.end())
        out.flush()


def _create_arguments(parser: Any) -> None:
    parser.add_argument("file", metavar="FILE", help="a .csv or .tsv with headings, or JSONL of any dialect; - reads from stdin")
    parser.add_argument("--key", required=True, metavar="NAME", help="the client key that is charged: its name or public id")
    parser.add_argument("--format", choices=("csv", "jsonl"), help="where the file's name does not say")
    parser.add_argument("--prompt", metavar="TEXT", help="for a table: each {column} is replaced by the row's cell")
    parser.add_argument("--prompt-file", metavar="FILE", help="the same from a file")
    parser.add_argument("--model", default="auto", metavar="NAME", help="where a line names none: a model, alias, strategy:NAME or auto")
    parser.add_argument("--max-tokens", type=int, metavar="N")
    parser.add_argument("--language", metavar="NAME")
    parser.add_argument("--score", action="store_true", help="add the quality of each answer's code")
    parser.add_argument("--economy", action="store_true", help="ask for the flex tier where it is priced")
    parser.add_argument("--on-budget", choices=("pause", "fail"), default="pause", help="when a budget is used up (pause)")
    parser.add_argument("--title", default="", metavar="TEXT")
    parser.add_argument("--dry-run", action="store_true", help="check the file and say what it would cost; create nothing")
    parser.add_argument("--wait", action="store_true", help="until it has ended")
    _wait_arguments(parser)


def _wait_arguments(parser: Any) -> None:
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="stop waiting after so long, with exit code 4")


def _start(file: UUID, kind: Kind, options: dict[str, Any]) -> upload_batch.Start:
    title = options["title"] or ("stdin" if options["file"] == "-" else Path(options["file"]).name)
    return upload_batch.Start(
        file=file, kind=kind, model=options["model"], title=title, on_budget=options["on_budget"], economy=options["economy"]
    )


def _pieces(name: str) -> Iterator[bytes]:
    try:
        if name == "-":
            yield from iter(lambda: sys.stdin.buffer.read(PIECE), b"")
            return
        with Path(name).open("rb") as file:
            yield from iter(lambda: file.read(PIECE), b"")
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}") from None


def _text_of(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {error}") from None


def _public_id(name: str) -> str:
    rows = ClientKey.objects.filter(Q(name=name) | Q(public_id=name), revoked_at=None)
    found = list(rows.values_list("public_id", flat=True)[:2])
    if len(found) != 1:
        raise CommandError(f"there {'are several client keys' if found else 'is no client key'} called {name!r}; name its public id")
    return str(found[0])


def _found(text: str) -> Batch:
    try:
        pk = UUID(text.removeprefix("batch_").removeprefix("msgbatch_"))
    except ValueError:
        raise CommandError(f"{text!r} is no id of a batch, such as batch_ and 32 hex digits") from None
    row = Batch.objects.select_related("client_key").filter(pk=pk).first()
    if row is None:
        raise CommandError(f"there is no batch {text}; it expired or was deleted")
    return row


def _state(row: Batch) -> str:
    return "paused" if row.pause_reason else row.state


def _progress(row: Batch) -> str:
    ended = row.total - row.queued - row.running
    failed = f", {row.failed} failed" if row.failed else ""
    return f"{_state(row)}: {ended} of {row.total}{failed}{f' ({row.pause_reason})' if row.pause_reason else ''}"


def _faults(row: Batch) -> list[str]:
    return [f"line {one['line']}: {one['message']}" if one["line"] else str(one["message"]) for one in row.faults[:20]]


def _usd(nusd: int | None) -> str | None:
    return None if nusd is None else format_usd(nusd)


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()
