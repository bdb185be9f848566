"""``python -m tests.benchmarks``: measures the gateway of this checkout beside a bare echo of the same job, and beside the peers that
``COGO_PEERS_DIR`` holds. ``DATABASE_URL`` names a PostgreSQL server, on which a database is made and dropped; without it SQLite.

The figure to trust is requests per second of processor time, and of that the ratio to another contender of the same run."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from . import peers
from .contenders import ROOT, Contender, Field
from .rounds import CALLERS, MODELS, Board, loads, run

# Figure of a load, its heading, whether more of it is better, and whether what the upstream itself takes is to be taken off.
SHOWN = (
    ("per_core", "answers / CPU s", 0),
    ("p50_ms", "p50 ms", 2),
    ("p99_ms", "p99 ms", 2),
    ("first_p50_ms", "first chunk p50 ms", 2),
    ("first_p99_ms", "first chunk p99 ms", 2),
    ("chunks_per_core", "chunks / CPU s", 0),
    ("kb_per_stream", "KB / stream", 1),
    ("mb", "MB", 1),
)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def machine() -> str:
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{len(names) or os.cpu_count()} x {names[0] if names else platform.machine()}, Python {platform.python_version()}"


def rows(board: Board, names: Sequence[str], what: Sequence[str]) -> list[tuple[str, ...]]:
    """(load, figure, one cell a contender). Times are what a contender adds to the upstream's own of the same run."""
    found = []
    for load in what:
        for figure, title, digits in SHOWN:
            values = [board.of(name, load, figure) for name in names]
            if all(map(math.isnan, values)):
                continue
            heading = title
            if figure.endswith("_ms"):
                base = board.of("direct", load, figure)
                values, heading = [value - base for value in values], f"added {title}"
            cells = ["–" if math.isnan(value) else f"{value:,.{digits}f}" for value in values]
            if figure.endswith("per_core"):
                ratios = [board.ratios(names[0], name, load, figure) for name in names]
                cells = [f"{cell} ({median(r):.2f} x)" if n and r else cell for n, (cell, r) in enumerate(zip(cells, ratios, strict=True))]
            found.append((load, heading, *cells))
    return found


def table(board: Board, names: Sequence[str], what: Sequence[str]) -> str:
    """Markdown."""
    head = ("load", "figure", *names)
    lines = [head, ("---",) * len(head), *rows(board, names, what)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    parser.add_argument("--callers", default=",".join(map(str, CALLERS)))
    parser.add_argument("--streams", type=int, default=1000, help="at most so many at once: 1000, 100 or 0")
    parser.add_argument(
        "--against", type=Path, action="append", default=[], help="another checkout of the gateway to measure beside this one"
    )
    parser.add_argument("--peers", default=",".join(peers.PEERS), help="of those in COGO_PEERS_DIR")
    parser.add_argument("--json", type=Path, help="where all figures of all rounds are written")
    options = parser.parse_args()
    database_url = os.environ.get("DATABASE_URL", "")
    database_url = database_url if database_url.startswith("postgres") else ""
    what = loads([int(one) for one in options.callers.split(",") if one], options.seconds, options.streams)
    board = Board()
    with tempfile.TemporaryDirectory(prefix="cogo-bench-") as name:
        ground = Field(Path(name))
        try:
            ours = [ground.gateway("gateway", ROOT, database_url)]
            others = {one.resolve().name: one.resolve() for one in options.against}
            ours += [ground.gateway(label, root, database_url) for label, root in others.items()]
            measured: list[Contender] = [*ours, ground.bare(), *peers.present(ground, options.peers.split(","), MODELS, say)]
            run([ground.upstream, *measured], what, options.rounds, say, board, ground.upstream)
            audits = {one.name: ground.audit(one.name, others.get(one.name, ROOT), database_url) for one in ours}
        finally:
            ground.close()
    names = [one.name for one in measured]
    discarded = {f"{who}, {load}": count for (who, load), count in board.discarded.items() if count}
    when = datetime.now(UTC).strftime("%d %B %Y")
    say(f"\n{when}; {machine()}; {'PostgreSQL' if database_url else 'SQLite'}; {options.rounds} rounds of {options.seconds:g} s, medians")
    say("In brackets: how many times as much the first column does with the same processor time.\n")
    say(table(board, names, list(what)))
    say(f"\nrounds discarded for an answer that was not 200: {discarded or 'none'}")
    for who, line in audits.items():
        say(f"audit of {who}: {line}")
    if options.json:
        figures = [{"contender": who, "load": load, "rounds": found} for (who, load), found in board.rounds.items()]
        whole = {"date": when, "machine": machine(), "postgres": bool(database_url), "figures": figures, "discarded": discarded}
        options.json.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
