"""The page on which a prompt is tried: everything happens in its script and in :mod:`llm_gateway.api.playground`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from llm_gateway.core import json
from llm_gateway.core.roles import READS_TEXTS, SPENDS
from llm_gateway.models import ClientKey, RequestBody, RequestLog

from . import _decision
from ._names_known import names

ROLES = ("system", "developer", "user", "assistant")
MOST_CHARS = 200_000


def context(request: HttpRequest) -> dict[str, Any]:
    """``opens``: the request that was asked for, whose texts were looked at; whoever calls writes that down."""
    may = request.user.has_perm(SPENDS)
    keys = ClientKey.objects.filter(revoked_at=None).select_related("team").order_by("team__name", "name")
    now = timezone.now()
    usable = [key for key in keys[:500] if "generate" in key.scopes and (key.expires_at is None or key.expires_at > now)]
    log, start = _start(request)
    return {
        "may_send": may,
        "client_keys": [(key.public_id, f"{key.team.name}: {key.name}") for key in usable] if _sees_keys(request) else [],
        "data": {"names": names(), "start": start, "urls": _urls()},
        "opens": log,
        "note": start.get("note", ""),
        "form_media": forms.Media(js=["llm_gateway/playground.js"]),
    }


def _sees_keys(request: HttpRequest) -> bool:
    return bool(request.user.has_perm("llm_gateway.view_clientkey"))


def _urls() -> dict[str, str]:
    requests = reverse("admin:llm_gateway_requestlog_changelist")
    return {"send": reverse("playground-send"), "analyze": reverse("native-analyze"), "requests": requests}


def _start(request: HttpRequest) -> tuple[RequestLog | None, dict[str, Any]]:
    """What an earlier request asked. Its texts only for those who may read texts; without, its model alone."""
    asked = request.GET.get("request", "")
    try:
        row = RequestLog.objects.select_related("client_key", "model").filter(pk=UUID(asked)).first() if asked else None
    except ValueError:
        row = None
    if row is None or not request.user.has_perm("llm_gateway.view_requestlog"):
        return None, {"note": "There is no such request."} if asked else {}
    found: dict[str, Any] = {"model": row.asked_model or "auto", "key": row.client_key.public_id if row.client_key else ""}
    if not request.user.has_perm(READS_TEXTS):
        return None, {**found, "note": "Its texts are not shown: reading prompts is a right of its own."}
    body = RequestBody.objects.filter(pk=row.pk).first()
    if body is None:
        return None, {**found, "note": "No texts of it are kept."}
    messages = _messages(_decision.texts(body)[0])
    note = "" if messages else "Its texts are not in a form that can be opened here."
    return row, {**found, "messages": messages, "note": note}


def _messages(prompt: str) -> list[dict[str, str]]:
    """Roles and plain text of a kept prompt, whichever format it came in."""
    try:
        found = json.loads(prompt.encode())
    except json.InvalidJson:
        return []
    rows: Any = found if isinstance(found, list) else []
    shown: list[dict[str, str]] = []
    if isinstance(found, dict):
        rows = found.get("messages") or found.get("input") or found.get("contents") or []
        system = found.get("system") or found.get("instructions") or found.get("systemInstruction")
        shown += [{"role": "system", "content": text}] if (text := _text(system)) else []
        if isinstance(rows, str):
            rows = [{"role": "user", "content": rows}]
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and (text := _text(row.get("content", row.get("parts")))):
            role = {"model": "assistant"}.get(str(row.get("role")), str(row.get("role") or "user"))
            shown.append({"role": role if role in ROLES else "user", "content": text})
    return shown


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content[:MOST_CHARS]
    if isinstance(content, dict):
        return _text(content.get("parts") or content.get("text") or "")
    if isinstance(content, list):
        return "\n".join(text for one in content if (text := _text(one if isinstance(one, str) else (one or {}).get("text", ""))))
    return ""
