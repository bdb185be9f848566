"""The task queue keeps pickles under a signature: a forged row is dropped unread and reported; ours hold ids and nothing else."""

from __future__ import annotations

import pickle
import queue
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.pusher import pusher
from django_q.signing import PickleSerializer, SignedPackage
from django_q.tasks import async_task

from llm_gateway import tasks
from llm_gateway.actions.sync_schedules import JOBS

pytestmark = pytest.mark.django_db
RAN: list[str] = []


class Bomb:
    """Runs when it is unpickled."""

    def __reduce__(self) -> Any:
        return RAN.append, ("boom",)


def forged(kind: str) -> str:
    package = {"id": "x", "name": "x", "func": "os.system", "args": (Bomb(),), "kwargs": {}}
    match kind:
        case "another key":
            return signing.dumps(package, key="n" * 50, salt=Conf.PREFIX, serializer=PickleSerializer)
        case "another salt":
            return signing.dumps(package, key=Conf.SECRET_KEY, salt="django.contrib.sessions", serializer=PickleSerializer)
        case "a flipped character":
            good = SignedPackage.dumps({"id": "x"})
            return good[:-1] + ("A" if good[-1] != "A" else "B")
        case "a bare pickle":
            return pickle.dumps(package).hex()
    return ""


@pytest.mark.parametrize("kind", ["another key", "another salt", "a flipped character", "a bare pickle", "nothing"])
def test_a_forged_row_is_dropped_unread_and_said_so(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    RAN.clear()
    OrmQ.objects.create(key=Conf.PREFIX, payload=forged(kind), lock=timezone.now() - timedelta(hours=1))
    taken: queue.Queue[Any] = queue.Queue()
    stop = threading.Event()
    stop.set()
    pusher(taken, stop)
    assert taken.empty()
    assert RAN == []
    assert not OrmQ.objects.exists(), "it does not come back"
    assert [r.levelname for r in caplog.records if "Failed to push" in r.getMessage()] == ["ERROR"]


def test_a_row_of_ours_holds_a_name_and_ids() -> None:
    async_task("llm_gateway.tasks.check_keys", [1, 2], "save")
    package = SignedPackage.loads(OrmQ.objects.get().payload)
    assert (package["func"], package["args"], package["kwargs"]) == ("llm_gateway.tasks.check_keys", ([1, 2], "save"), {})


@pytest.mark.parametrize("ids", [["1"], [1.5], [True], [None], ["sk" + "-x"], [{"id": 1}]])
def test_tasks_take_ids_and_nothing_else(ids: Any) -> None:
    with pytest.raises(TypeError, match="integer ids"):
        tasks.check_keys(ids, "save")


def test_scheduled_jobs_have_no_arguments() -> None:
    assert all(not hasattr(job, "args") for job in JOBS)
