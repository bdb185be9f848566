"""What the journal costs: ``python -m tests.stores.load [REQUESTS [AT_ONCE]]`` opens and settles made-up requests, each held against two
budgets, on a database of its own (``DATABASE_URL`` chooses which)."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from pathlib import Path


def main(requests: int, at_once: int) -> None:
    import django
    from django.conf import settings

    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    # As it is served: tests turn the disk's promises off.
    if "sqlite" in settings.DATABASES["default"]["ENGINE"]:
        options = settings.DATABASES["default"]["OPTIONS"]
        options["init_command"] = options["init_command"].replace("PRAGMA synchronous=OFF;", "")
    made = setup_databases(verbosity=0, interactive=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _measure(Path(folder), requests, at_once)
    finally:
        teardown_databases(made, verbosity=0)


def _measure(folder: Path, requests: int, at_once: int) -> None:
    from django.db import connection

    from .bench import Bench

    bench = Bench(folder)
    budgets = (bench.budget("a", 10**15), bench.budget("b", 10**15))
    cpu: list[float] = []
    run = bench.journal._run
    waits: list[float] = []

    def counted() -> None:
        run()
        cpu.append(time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID))

    bench.journal._thread = threading.Thread(target=counted, daemon=True)

    async def caller(count: int) -> None:
        for _ in range(count):
            opened = bench.opening(100, budgets)
            began = time.perf_counter()
            await bench.journal.open(opened)
            middle = time.perf_counter()
            ended = bench.settlement(opened, 60)
            await asyncio.sleep(0)
            again = time.perf_counter()
            await bench.journal.settle(ended)
            waits.extend((middle - began, time.perf_counter() - again))

    async def crowd() -> None:
        await asyncio.gather(*(caller(requests // at_once) for _ in range(at_once)))

    with bench.running():
        bench.run(caller(20))
        waits.clear()
        began = time.perf_counter()
        bench.run(crowd())
        took = time.perf_counter() - began
    waits.sort()
    done = requests // at_once * at_once
    sys.stdout.write(
        f"{connection.vendor}: {done} requests, {at_once} at once: {done / took:.0f}/s, "
        f"journal {cpu[0] / done * 1e6:.0f} us CPU a request, "
        f"{bench.journal.written / bench.journal.batches:.1f} writes a commit, wait p50 {waits[len(waits) // 2] * 1000:.2f} ms, "
        f"p99 {waits[int(len(waits) * 0.99)] * 1000:.2f} ms\n"
    )


if __name__ == "__main__":
    import os

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    given = [int(one) for one in sys.argv[1:]]
    main(given[0] if given else 6000, given[1] if len(given) > 1 else 30)
