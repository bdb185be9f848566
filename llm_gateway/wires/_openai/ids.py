"""Ids we make where a host or a format gives none."""

from __future__ import annotations

import hashlib


def call_id(seed: str, choice: int, index: int) -> str:
    """The id of a call: unique within the answer and, with its seed, beyond; at most 40 characters,
    which is all OpenAI takes back."""
    return "call_" + hashlib.sha256(f"{seed}:{choice}:{index}".encode()).hexdigest()[:24]
