"""One verb per file: what admin, API, commands and tasks do to the gateway. A face parses and renders; the verb decides and writes."""

from __future__ import annotations


class ActionError(ValueError):
    """It cannot be done as asked. The message is one sentence for the operator and never holds a secret."""


class SettingRefused(ActionError):
    """One setting of a strategy cannot be so; ``setting`` is its name, with the names around it where it is inside another."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting
