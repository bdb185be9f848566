"""Facts of a host or a model, typed as JSON and checked before they are kept."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms.fields import InvalidJSONInput
from typing_extensions import override
from unfold.widgets import UnfoldAdminTextareaWidget

from llm_gateway.core import json
from llm_gateway.core.host_facts import EXTENSIONS, HostFacts, read_facts

HELP = (
    'JSON over what is known otherwise, for example {"user_limit": 64, "extensions": ["reasoning_content"]}. '
    f"Facts: {', '.join(HostFacts.__struct_fields__)}. Extensions: {', '.join(EXTENSIONS)}."
)


class HostFactsField(forms.JSONField):
    widget = UnfoldAdminTextareaWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "help_text": HELP, **kwargs})

    @override
    def to_python(self, value: Any) -> Any:
        """Under the bounds of every body: Python's own reader fails over numbers and nesting without end."""
        if value in self.empty_values or not isinstance(value, str):
            return super().to_python(value)
        try:
            return json.loads(value.encode("utf-8", "replace"))
        except json.InvalidJson as error:
            raise forms.ValidationError(f"Enter a valid JSON object: {error}.") from None

    @override
    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            return self.to_python(data)
        except forms.ValidationError:
            return InvalidJSONInput(data)

    @override
    def clean(self, value: Any) -> Any:
        facts = super().clean(value) or {}
        try:
            read_facts(facts)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        return facts
