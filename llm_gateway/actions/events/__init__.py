"""What alert rules can be about: ONE FILE EACH. A file ends with ``events.add``; forms, rules and deliveries follow from it."""

from __future__ import annotations

from llm_gateway.core.registry import Registry

from ._base import Event

events: Registry[Event] = Registry("alert event", __name__)
