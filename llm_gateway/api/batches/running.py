"""A runner process: the gateway's pipeline and journal, and the loop that executes lines with them."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from datetime import UTC, datetime

from django.conf import settings

from llm_gateway.actions.judge_answers import judge_waiting
from llm_gateway.actions.tell_batch_ended import tell_due
from llm_gateway.engine.batch_runner import PLACES, BatchRunner
from llm_gateway.engine.tasks import TaskOwner
from llm_gateway.stores.batch_port import DatabaseBatchQueue
from llm_gateway.stores.own_thread import OwnThread
from llm_gateway.telemetry import processes
from llm_gateway.wiring import Gateway, shutdown, startup

from .executing import execute
from .foreseeing import Foresight
from .lane import LanePace, ProviderLane
from .resuming import resume_paused

log = logging.getLogger("cogo.batches")
BEAT_S = 1.0
TELL_S = 3.0
GRACE_S = 5.0
JUDGE_S = 2.0


async def run(*, places: int = PLACES, said: Callable[[str], None] = lambda _: None) -> None:
    """Until SIGTERM or SIGINT."""
    found = await startup()
    owner = TaskOwner()
    # A line that nobody renews for twice as long as a request is another runner's.
    lease_s = 2.0 * settings.COGO["lease_s"]
    own = OwnThread("lines")
    queue = DatabaseBatchQueue(found.worker, found.threaded, found.catalog, lease_s=lease_s, own=own)
    runner = BatchRunner(queue, execute, owner, places=places, lease_s=lease_s, foresee=Foresight(found))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, runner.stop)
    owner.start(_beat(), "say that the loop turns")
    owner.start(resume_paused(found), "look at paused batches")
    owner.start(_tell_ends(found), "tell ends of batches")
    pace = LanePace(settle=min(30.0, lease_s))
    owner.start(ProviderLane(found, owner, lease_s=lease_s, pace=pace).run(), "send shards to providers")
    owner.start(_judge(found), "judge answers")
    gc.collect()
    gc.freeze()
    said("ready")
    try:
        await runner.run()
        await runner.finish(GRACE_S)
    finally:
        await owner.close()
        own.close()
        await shutdown(0.0)


async def _tell_ends(found: Gateway) -> None:
    while True:
        try:
            await found.threaded(tell_due, datetime.now(UTC))
        except Exception as error:
            log.warning("ends of batches could not be told", extra={"reason": f"{type(error).__name__}: {error}"[:200]})
        await asyncio.sleep(TELL_S)


async def _judge(found: Gateway) -> None:
    """Beside the batches: it asks like them, of a key that has a budget for it, and nobody waits for it."""
    while True:
        done = 0
        try:
            done = await judge_waiting(found)
        except Exception as error:
            log.warning("answers could not be judged", extra={"reason": f"{type(error).__name__}: {error}"[:200]})
        await asyncio.sleep(0 if done else JUDGE_S)


async def _beat() -> None:
    run_folder = processes.folder(settings.VAR_DIR)
    while True:
        processes.beat(run_folder)
        await asyncio.sleep(BEAT_S)
