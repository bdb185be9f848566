"""A guard took a policy version back, or would have and could not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from llm_gateway.models import PolicyEvent, PolicyVersion

from . import events
from ._base import Event, Figure, Figures, Happening

_BY = "guard"
_TAKEN = (PolicyEvent.Kind.ENDED, PolicyEvent.Kind.RETIRED)


def look(figures: Figures, now: datetime) -> Sequence[Happening]:
    since = now - timedelta(hours=figures["hours"])
    taken = PolicyEvent.objects.filter(via=_BY, kind__in=_TAKEN, at__gte=since).select_related("version__strategy").order_by("-pk")
    found: dict[str, Happening] = {}
    for one in taken:
        what = "The canary" if one.kind == PolicyEvent.Kind.ENDED else "What was learnt"
        about = f"policy:{one.version.number}"
        found.setdefault(
            about, Happening(about, f"{what}, version {one.version.number} of {one.version.name}, was rolled back. {one.note}"[:500])
        )
    for version in PolicyVersion.objects.filter(state=PolicyVersion.State.ACTIVE, alias="").select_related("strategy"):
        if isinstance(version.watch, dict) and (why := version.watch.get("stuck")):
            text = f"Version {version.number} of {version.name} does worse than its guards allow, and there is nothing to go back to. {why}"
            found[f"stuck:{version.number}"] = Happening(f"stuck:{version.number}", text[:500])
    return list(found.values())


events.add(
    "policy_rolled_back",
    Event(
        title="Policy rolled back",
        summary="A guard rolled a canary or a learning strategy back, or found nothing to go back to.",
        look=look,
        figures=(Figure("hours", "Told for so many hours", 24, most=168),),
        urgent=True,
    ),
)
