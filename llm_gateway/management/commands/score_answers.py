"""``manage.py score_answers``: the score worker. ``serve`` starts as many as COGO_SCORE_WORKERS says."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection
from typing_extensions import override

from llm_gateway.actions.score_jobs import score_waiting
from llm_gateway.probes import Bench

from ._base import Command as Base

log = logging.getLogger("cogo.scores")
LOOK_AGAIN_S = 1.0
DATABASE_AWAY_S = 5.0


class Command(Base):
    recorded = ""
    help = "Look at the code of the answers that quality rules set aside for it, until it is stopped."

    @override
    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--once", action="store_true", help="end when no answer waits")

    @override
    def run(self, **options: Any) -> None:
        stop = threading.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
        bench = Bench()
        scored = 0
        try:
            while not stop.is_set():
                wait = 0.0
                try:
                    if done := score_waiting(bench):
                        scored += done
                    elif options["once"]:
                        break
                    else:
                        wait = LOOK_AGAIN_S
                except DatabaseError as error:
                    if options["once"]:
                        raise
                    log.warning("the score worker waits for the database", extra={"reason": f"{type(error).__name__}: {error}"[:200]})
                    connection.close()
                    wait = DATABASE_AWAY_S
                stop.wait(wait)
        finally:
            bench.close()
        self.say(f"{scored} answers scored")
