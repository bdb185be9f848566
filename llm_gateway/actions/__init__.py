"""One verb per file: what admin, API, commands and tasks do to the gateway. A face parses and renders; the verb decides and writes."""

from __future__ import annotations


class ActionError(ValueError):
    """It cannot be done as asked. The message is one sentence for the operator and never holds a secret."""
