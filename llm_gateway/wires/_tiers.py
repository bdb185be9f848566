"""Service tiers in each format's own words, asked for and answered.
https://docs.claude.com/en/api/service-tiers,
https://platform.openai.com/docs/guides/priority-processing,
https://ai.google.dev/api/generate-content (read 2026-11-22)

A word that a format does not have is left out: its SDKs refuse an answer with a stranger's.
"""

from __future__ import annotations

_OPENAI_ASKED = {
    "auto": "auto",
    "default": "default",
    "standard": "default",
    "standard_only": "default",
    "flex": "flex",
    "scale": "scale",
    "priority": "priority",
    "fast": "fast",
}
_ASKED = {
    "openai_chat": _OPENAI_ASKED,
    "openai_responses": _OPENAI_ASKED,
    "anthropic_messages": {
        "auto": "auto",
        "priority": "auto",
        "default": "standard_only",
        "standard": "standard_only",
        "standard_only": "standard_only",
    },
    "gemini_generate": {"default": "standard", "standard_only": "standard", "standard": "standard", "flex": "flex", "priority": "priority"},
}
_OPENAI_ANSWERED = {
    "auto": "auto",
    "default": "default",
    "standard": "default",
    "on_demand": "default",
    "batch": "default",
    "flex": "flex",
    "scale": "scale",
    "priority": "priority",
    "fast": "priority",
}
_ANSWERED = {
    "openai_chat": _OPENAI_ANSWERED,
    "openai_responses": _OPENAI_ANSWERED,
    "anthropic_messages": {
        "standard": "standard",
        "default": "standard",
        "auto": "standard",
        "on_demand": "standard",
        "flex": "standard",
        "priority": "priority",
        "scale": "priority",
        "batch": "batch",
    },
    "gemini_generate": {
        "standard": "standard",
        "default": "standard",
        "auto": "standard",
        "on_demand": "standard",
        "batch": "standard",
        "flex": "flex",
        "priority": "priority",
        "scale": "priority",
        "fast": "priority",
    },
}


def asked(wire: str, tier: str | None) -> str | None:
    """A caller's word for a provider of another format."""
    return _ASKED[wire].get(tier.lower()) if tier and wire in _ASKED else tier


def answered(dialect: str, tier: str | None) -> str | None:
    """A provider's word for a caller."""
    return _ANSWERED[dialect].get(tier.lower()) if tier and dialect in _ANSWERED else tier
