"""``serve`` prints this once everything answers: addresses, new accounts and keys, one working
call."""

from __future__ import annotations

import json
from dataclasses import dataclass

PROMPT = "Write a Python function that adds two numbers."


@dataclass(frozen=True, slots=True)
class Secrets:
    """What this start created, for display once; password and key are empty if they existed
    before."""

    operator: str
    password: str = ""
    client_key: str = ""


def text(url: str, secrets: Secrets, answering: str) -> str:
    """``answering``: a line or two about which provider answers."""
    places = [
        ("Gateway", f"{url}/"),
        ("Admin", f"{url}/admin/"),
        ("Browse the API", f"{url}/api/ai-models/status"),
        ("API reference", f"{url}/api/docs/"),
    ]
    lines = ["", "COGO LLM Gateway is running.", "", *_table(places)]
    if told := once(secrets):
        lines += ["", told]
    if answering:
        lines += ["", answering]
    lines += ["", "Try it:", f"  {curl(url, secrets.client_key)}"]
    if not secrets.client_key:
        lines += ["where COGO_KEY holds a client key; make one with: .venv/bin/python manage.py create_client_key NAME"]
    return "\n".join([*lines, "", "Ctrl-C stops everything.", ""])


def once(secrets: Secrets) -> str:
    """Empty when nothing was created."""
    rows = []
    if secrets.password:
        rows += [("Operator", secrets.operator), ("One-time password", secrets.password)]
    if secrets.client_key:
        rows += [("Client key", secrets.client_key)]
    return "\n".join(["Shown this once, so keep it:", *_table(rows)]) if rows else ""


def curl(url: str, key: str) -> str:
    """One line for a shell. Without a key it reads COGO_KEY."""
    bearer = f"'Authorization: Bearer {key}'" if key else '"Authorization: Bearer $COGO_KEY"'
    return f"curl {url}/api/ai-models/generate -H {bearer} -H 'Content-Type: application/json' -d '{json.dumps({'prompt': PROMPT})}'"


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows]
