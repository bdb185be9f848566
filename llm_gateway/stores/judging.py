"""Which answers wait to be judged, sealed like all texts; and what is read of them once a judge has time."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from llm_gateway.core.catalog import BodyLogging
from llm_gateway.engine.calls import Call
from llm_gateway.models import JudgeJob, JudgeRule
from llm_gateway.policies.judging import MOST_CHARS
from llm_gateway.scorers import Facts

from . import vault
from .answered import Answered
from .plain import short

MOST_JOBS = 1000
JOB_LIVES = timedelta(hours=1)
# What a judge or a shadow said is never judged.
JUDGED_ORIGINS = frozenset({"live", "batch"})
_KINDS = frozenset({"chat", "generate"})


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """What a job holds, before it is encrypted."""

    request: str
    answer: str
    model: int | None
    provider: str
    simulated: bool
    language: str
    task_type: str


def load_shares() -> dict[int, int]:
    """By team, percent of its answers. Blocking."""
    return dict(JudgeRule.objects.filter(enabled=True).values_list("team_id", "share"))


def wanted(shares: dict[int, int], call: Call, text: str, facts: Facts) -> bool:
    """A whole answer in words, of a team that lets its texts be kept for so long."""
    share = shares.get(call.identity.team_id, 0)
    if not share or call.origin not in JUDGED_ORIGINS or call.kind not in _KINDS or call.identity.bodies is BodyLogging.OFF:
        return False
    if facts.cut or not text.strip() or len(text) > MOST_CHARS:
        return False
    # Other bits of its id than those that choose for the score worker: the two samples are independent of each other.
    return (call.id.int >> 32 & 0x3FFF_FFFF) % 100 < share


def sealed(answered: Answered, text: str, facts: Facts, language: str, now: datetime) -> JudgeJob:
    call, target = answered.call, answered.target
    packed = Sealed(
        request=_asked(call),
        answer=text,
        model=target.model.id if target else None,
        provider=target.provider.slug if target else "",
        simulated=bool(target and target.provider.simulated),
        language=language,
        task_type=short(call.task_type or "", 60).lower(),
    )
    return JudgeJob(
        request_id=call.id,
        created_at=now,
        expires_at=now + JOB_LIVES,
        team_id=call.identity.team_id,
        ciphertext=vault.seal(msgspec.json.encode(packed).decode(), place=place(call.id)),
    )


def write(jobs: list[JudgeJob], now: datetime) -> int:
    """How many there was no room for. What waited too long goes."""
    JudgeJob.objects.filter(expires_at__lt=now).delete()
    room = max(0, MOST_JOBS - JudgeJob.objects.count())
    JudgeJob.objects.bulk_create(jobs[:room], ignore_conflicts=True)
    return len(jobs) - len(jobs[:room])


def opened(job: JudgeJob) -> Sealed:
    """Raises :class:`vault.VaultError` or msgspec's errors."""
    return msgspec.json.decode(vault.open_sealed(job.ciphertext, place=place_of(job)).reveal(), type=Sealed)


def place_of(job: JudgeJob) -> str:
    """What the ciphertext is bound to."""
    return place(job.request_id)


def place(request_id: UUID) -> str:
    return f"judge_job:{request_id.hex}:ciphertext"


def _asked(call: Call) -> str:
    """The system's words and the last that the user said: what the answer is to."""
    turns = [one for one in call.inbound.chat().messages if one.role in ("system", "user") and one.text]
    system = [one.text for one in turns if one.role == "system"][:1]
    users = [one.text for one in turns if one.role == "user"][-1:]
    return "\n\n".join([*system, *users])[-MOST_CHARS:]
