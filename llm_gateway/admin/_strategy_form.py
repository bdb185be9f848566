"""The form of a strategy, made from what its kind says of its settings; what no schema knows stays reachable as JSON."""

from __future__ import annotations

import json as stdlib_json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django import forms
from typing_extensions import override
from unfold.widgets import UnfoldAdminTextareaWidget

from llm_gateway.core import json
from llm_gateway.models import Strategy
from llm_gateway.strategies import COMMON, COMMON_SCHEMA, Kind, Number, OneOf, Setting, strategies

from . import _verbs
from ._setting_fields import KnownKeysField, field_of

PREFIX = "s-"
OTHER = "s-other"
_OTHER_HELP = "As one JSON object: settings that this page has no field for."


class JsonObjectField(forms.CharField):
    """One JSON object; empty: none."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"})

    @override
    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else stdlib_json.dumps(value, indent=2, ensure_ascii=False) if value else ""

    @override
    def clean(self, value: Any) -> dict[str, Any]:
        text = super().clean(value)
        if not text.strip():
            return {}
        try:
            found = json.loads(text.encode("utf-8", "surrogatepass"))
        except json.InvalidJson as error:
            raise forms.ValidationError(f"Enter a valid JSON object: {error}.") from None
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise forms.ValidationError('Settings are one JSON object, such as {"sticky": true}.')
        return found


class SettingFields:
    """The fields of one kind. ``base``: of a strategy that stands on another, which kind that is."""

    def __init__(self, kind: str, base: str = "", *, whole: bool = True) -> None:
        self.kind = kind
        self.schema: tuple[Setting, ...] = strategies.get(kind).schema if kind in strategies else ()
        self.inner: SettingFields | None = None
        self.inner_name = ""
        chooser = next((one for one in self.schema if isinstance(one, Kind)), None)
        if chooser is not None and whole:
            self.inner = SettingFields(base if base in strategies else chooser.default, whole=False)
            self.inner_name = chooser.settings
        self.common = COMMON_SCHEMA if whole else ()

    def _settings(self) -> Iterator[tuple[str, Setting]]:
        yield from ((PREFIX + one.name, one) for one in (*self.schema, *self.common))

    def _inside(self) -> Iterator[tuple[str, Setting]]:
        if self.inner is not None:
            yield from ((f"{PREFIX}{self.inner_name}-{self.inner.kind}-{one.name}", one) for one in self.inner.schema)

    def fields(self) -> dict[str, forms.Field]:
        return {name: field_of(one) for name, one in (*self._settings(), *self._inside())}

    def groups(self) -> list[tuple[str, list[str]]]:
        """(heading, names of fields), without empty ones."""
        own = [PREFIX + one.name for one in self.schema]
        inside = [name for name, _ in self._inside()]
        found = [("Settings", own), (f"Settings of the base: {self.inner.kind}" if self.inner else "", inside)]
        return [(title, names) for title, names in (*found, ("After an answer", [PREFIX + one.name for one in self.common])) if names]

    def rest(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What of ``settings`` has no field."""
        known = {one.name for one in self.schema} | set(COMMON) | ({self.inner_name} if self.inner else set())
        return {name: value for name, value in settings.items() if name not in known}

    def wants_json(self, settings: Mapping[str, Any]) -> bool:
        """Whether something would be out of reach without it."""
        return bool(self.rest(settings)) or self.kind not in strategies

    def initial(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: _shown(one, settings) for name, one in self._settings()}
        inner = settings.get(self.inner_name)
        found |= {name: _shown(one, inner if isinstance(inner, Mapping) else {}) for name, one in self._inside()}
        return {**found, OTHER: self.rest(settings)}

    def collect(self, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that the form says; what is left empty is the default's business."""
        found = _given(self._settings(), cleaned)
        # What every strategy has and nobody set stays unsaid.
        found = {name: value for name, value in found.items() if name not in COMMON or value != COMMON[name]}
        if self.inner is not None:
            found[self.inner_name] = _given(self._inside(), cleaned)
        return {**found, **(cleaned.get(OTHER) or {})}

    def field_named(self, setting: str) -> str:
        """The field that shows what is wrong with ``setting``."""
        outer, _, inner = setting.partition(".")
        return f"{PREFIX}{outer}-{self.inner.kind}-{inner}" if inner and self.inner is not None else PREFIX + outer


def _shown(setting: Setting, settings: Mapping[str, Any]) -> Any:
    value = settings.get(setting.name)
    value = setting.default if value is None else value
    return stdlib_json.dumps(value) if isinstance(setting, OneOf) else value


def _given(settings: Iterator[tuple[str, Setting]], cleaned: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: cleaned[name] for name, one in settings if cleaned.get(name) is not None and cleaned[name] != ""}


class SettingsFormMixin(forms.BaseForm):
    """A form with the fields of one kind among its own. ``found`` after cleaning: the settings, validated."""

    made: ClassVar[SettingFields]
    found: dict[str, Any] | None = None

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """Before the form is shown or read."""
        self.initial = {**self.initial, **self.made.initial(settings)}
        for name, field in self.fields.items():
            if isinstance(field, KnownKeysField):
                field.offer(self.initial.get(name) or ())
        if OTHER in self.fields and not self.made.wants_json(settings):
            del self.fields[OTHER]

    def settle(self) -> None:
        """Within ``clean``: validate as the strategy does, and say at the field what is wrong."""
        if any(name.startswith(PREFIX) for name in self.errors):
            return
        try:
            self.found = _verbs.validate_settings(self.made.kind, self.made.collect(self.cleaned_data))
        except ValueError as error:
            name = self.made.field_named(getattr(error, "setting", ""))
            self.add_error(name if name in self.fields else OTHER if OTHER in self.fields else None, str(error))


class StrategyForm(SettingsFormMixin, forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Strategy
        fields = ("name", "title", "four_eyes")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before = dict(self.instance.settings) if isinstance(self.instance.settings, dict) else {}
        self.prepare(self.before)

    @override
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.settle()
        if self.instance.pk is None:
            self.instance.kind = self.made.kind
        if self.settings_changed:
            self.instance.settings = self.found
        return cleaned

    @property
    def settings_changed(self) -> bool:
        """Whether they mean something else than before; spelled-out defaults are no change."""
        if self.found is None or self.instance.pk is None:
            return self.found is not None
        try:
            before = _verbs.validate_settings(self.made.kind, self.before)
        except ValueError:
            before = self.before
        return self.found != {name: value for name, value in before.items() if name not in COMMON or value != COMMON[name]}


def form_for(kind: str, base: str = "", parent: type = StrategyForm) -> type:
    """``parent`` with the fields of ``kind``."""
    made = SettingFields(kind, base)
    other = JsonObjectField(required=False, label="Other settings", help_text=_OTHER_HELP)
    return type(parent.__name__, (parent,), {"made": made, **made.fields(), OTHER: other})


class SettingsOnly(SettingsFormMixin, forms.Form):
    """The settings of a kind, and nothing else."""

    def __init__(self, *args: Any, settings: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepare(settings)

    @override
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.settle()
        return cleaned


class DraftForm(SettingsOnly):
    """Settings of a policy version that is being written, and what watches it while it is a canary."""

    strategy = forms.CharField(widget=forms.HiddenInput, max_length=60)

    def guards(self) -> dict[str, Any]:
        return {name: self.cleaned_data.get(f"g-{name}") for name in _verbs.guard_limits()}


def draft_form_for(kind: str, base: str = "") -> type:
    """:class:`DraftForm` with the fields of ``kind``."""
    fields: dict[str, Any] = {}
    for name, (default, low, high) in _verbs.guard_limits().items():
        setting = _guard(name, default, low, high)
        fields[f"g-{name}"] = field = field_of(setting)
        field.initial = default
        field.required = name == "min_requests"
    fields["note"] = forms.CharField(label="What for", required=False, max_length=300, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))
    return type("DraftForm", (form_for(kind, base, DraftForm),), fields)


_GUARDS = {
    "success_points": ("It may lose so much of its success.", "points"),
    "p95_factor": ("It may take so many times as long as the active version.", "times"),
    "cost_factor": ("It may cost so many times as much.", "times"),
    "min_requests": ("Nothing is said before it has so many requests.", "requests"),
}


def _guard(name: str, default: float | None, low: float, high: float) -> Setting:
    text, unit = _GUARDS.get(name, ("", ""))
    return Number(name, None, low, high, text, unit, whole=name == "min_requests")


def base_of(settings: Any, kind: str, data: Any = None) -> str:
    """The kind that a strategy stands on: as the form says, else as its settings do."""
    chooser = next((one for one in strategies.get(kind).schema if isinstance(one, Kind)), None) if kind in strategies else None
    if chooser is None:
        return ""
    given = data.get(PREFIX + chooser.name) if data else None
    return str(given or (settings or {}).get(chooser.name) or chooser.default)
