"""A form field for each kind of setting that a strategy can declare. A new strategy needs nothing here."""

from __future__ import annotations

import json as stdlib_json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from typing_extensions import override
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from llm_gateway.models import Alias, ClientKey, LanguageModel, Provider
from llm_gateway.strategies import Flag, Kind, Line, Names, Number, OneOf, Rows, Setting, Shares, strategies

from ._show import words

# Rows and weights that a form may have; a settings field may hold no more.
MOST = 100


def field_of(setting: Setting) -> forms.Field:
    """The field that reads and writes this one."""
    return next(make for kind, make in _MAKERS.items() if isinstance(setting, kind))(setting)


def label_of(setting: Any) -> str:
    unit = getattr(setting, "unit", "")
    name = words(setting.name.removesuffix(f"_{unit}") if unit else setting.name).replace(" usd ", " USD ")
    return f"{name[:1].upper()}{name[1:]}{f' ({unit})' if unit else ''}"


def _number(setting: Number) -> forms.Field:
    bounds = f"{setting.low:g} to {setting.high:,.0f}" if setting.high >= 1000 else f"{setting.low:g} to {setting.high:g}"
    empty = f"empty: {setting.default:g}" if setting.default is not None else "empty: never"
    made: Callable[..., forms.Field] = forms.IntegerField if setting.whole else forms.FloatField
    widget = UnfoldAdminIntegerFieldWidget() if setting.whole else UnfoldAdminDecimalFieldWidget()
    field = made(min_value=setting.low, max_value=setting.high, widget=widget, **_common(setting, f"{setting.help} {bounds}; {empty}."))
    field.widget.attrs |= {"inputmode": "numeric" if setting.whole else "decimal", "step": "1" if setting.whole else "any"}
    return field


def _one_of(setting: OneOf) -> forms.Field:
    return forms.TypedChoiceField(
        choices=[(stdlib_json.dumps(value), title) for value, title in setting.options],
        coerce=stdlib_json.loads, empty_value=None, widget=UnfoldAdminSelectWidget, **_common(setting),
    )  # fmt: skip


def _kind(setting: Kind) -> forms.Field:
    choices = [(name, one.title) for name, one in strategies.items() if not any(isinstance(part, Kind) for part in one.schema)]
    help_text = f"{setting.help} Its own settings follow below, once this is saved."
    return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget, **_common(setting, help_text))


def _names(setting: Names) -> forms.Field:
    if setting.of == "client keys":
        return KnownKeysField(widget=UnfoldAdminCheckboxSelectMultipleWidget, **_common(setting))
    return NamesField(widget=UnfoldAdminTextInputWidget, **_common(setting, f"{setting.help} With commas."))


def _common(setting: Any, help_text: str = "") -> dict[str, Any]:
    return {"required": False, "label": label_of(setting), "help_text": help_text or setting.help}


class NamesField(forms.CharField):
    """A list of texts, typed with commas."""

    @override
    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else ", ".join(map(str, value or ()))

    @override
    def clean(self, value: Any) -> Any:
        return [part.strip() for part in super().clean(value).split(",") if part.strip()]


class KnownKeysField(forms.MultipleChoiceField):
    """Client keys that live, by public id; those of the settings stay choosable though they are gone."""

    def offer(self, chosen: Iterable[str]) -> None:
        keys = ClientKey.objects.filter(revoked_at=None).select_related("team").order_by("team__name", "name")[:500]
        found = {key.public_id: f"{key.team.name}: {key.name}" for key in keys}
        self.choices = [*found.items(), *((one, one) for one in chosen if one not in found)]


class TableWidget(forms.Widget):
    """A table whose columns are posted as lists under ``NAME-COLUMN``. Its template works without a script, with one empty row."""

    use_fieldset = True
    template = ""
    columns: tuple[str, ...] = ()

    class Media:
        js = ("llm_gateway/strategy_form.js",)

    @override
    def id_for_label(self, id_: str) -> str:
        return ""

    @override
    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return not any(f"{name}-{column}" in data for column in self.columns)

    @override
    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[tuple[str, ...]]:
        """Rows as they were typed, without those that are empty."""
        lists = [_listed(data, f"{name}-{column}") for column in self.columns]
        rows = list(zip(*(one + [""] * (max(map(len, lists)) - len(one)) for one in lists), strict=True))
        return [row for row in rows[: MOST + 1] if any(cell.strip() for cell in row)]

    @override
    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        return render_to_string(self.template, {"name": name, **self.shown(self.typed(value))})

    def typed(self, value: Any) -> list[tuple[str, ...]]:
        """What stands in the cells, for a stored value or for rows as they were typed."""
        return list(value or ())

    def shown(self, rows: list[tuple[str, ...]]) -> dict[str, Any]:
        return {"rows": [*rows, ("",) * len(self.columns)]}


class SharesWidget(TableWidget):
    template = "admin/llm_gateway/setting_shares.html"
    columns = ("name", "weight")

    @override
    def typed(self, value: Any) -> list[tuple[str, ...]]:
        return [(str(name), f"{weight:g}") for name, weight in value.items()] if isinstance(value, Mapping) else list(value or ())

    @override
    def shown(self, rows: list[tuple[str, ...]]) -> dict[str, Any]:
        return {"rows": [*rows, ("", "")], "known": known_targets()}


class SharesField(forms.Field):
    widget = SharesWidget

    @override
    def clean(self, value: Any) -> dict[str, float]:
        found: dict[str, float] = {}
        for typed, weight in value.items() if isinstance(value, Mapping) else value or ():
            name = str(typed).strip()
            if not name:
                raise forms.ValidationError("Name the provider or model that this weight is of.")
            if name in found:
                raise forms.ValidationError(f"{name} stands twice in the table.")
            found[name] = _weight(name, weight)
        return found


def _weight(name: str, text: Any) -> float:
    try:
        found = float(text)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise forms.ValidationError(f"The weight of {name} has to be a number.")
    return found


class RowsWidget(TableWidget):
    template = "admin/llm_gateway/setting_rows.html"

    def __init__(self, setting: Rows) -> None:
        super().__init__()
        self.setting = setting
        self.columns = tuple(column.name for column in setting.columns)

    @override
    def typed(self, value: Any) -> list[tuple[str, ...]]:
        return [
            row if isinstance(row, tuple) else tuple(_cell(row.get(column)) for column in self.columns)
            for row in value or ()
            if isinstance(row, tuple | Mapping)
        ]

    @override
    def shown(self, rows: list[tuple[str, ...]]) -> dict[str, Any]:
        columns = [{"name": column.name, "label": label_of(column), "help": column.help} for column in self.setting.columns]
        blank = ("",) * len(columns)
        return {"rows": [list(zip(columns, row, strict=True)) for row in (*rows, blank)], "one": self.setting.one}


class RowsField(forms.Field):
    def __init__(self, *, setting: Rows, **kwargs: Any) -> None:
        super().__init__(widget=RowsWidget(setting), **kwargs)
        self.setting = setting

    @override
    def clean(self, value: Any) -> list[dict[str, Any]]:
        return [row if isinstance(row, dict) else self._row(row, place) for place, row in enumerate(value or (), 1)]

    def _row(self, cells: Sequence[str], place: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for column, cell in zip(self.setting.columns, cells, strict=True):
            if not cell.strip():
                continue
            if isinstance(column, Number):
                if not cell.strip().isascii() or not cell.strip().isdecimal() or len(cell.strip()) > 10:
                    raise forms.ValidationError(f"{self.setting.one.capitalize()} {place}: {words(column.name)} has to be a whole number.")
                found[column.name] = int(cell)
            elif isinstance(column, Names):
                found[column.name] = [part.strip() for part in cell.split(",") if part.strip()]
            else:
                found[column.name] = cell.strip()
        return found


def known_targets() -> list[str]:
    """What an arm or a weight may name, for suggestions."""
    models = LanguageModel.objects.filter(enabled=True).exclude(lifecycle="retired").order_by("name").values_list("name", flat=True)
    return [*Provider.objects.filter(enabled=True).order_by("priority").values_list("slug", flat=True), *dict.fromkeys(models)]


def known_names() -> list[str]:
    """What a caller may ask for, for suggestions."""
    return [*known_targets(), *Alias.objects.filter(enabled=True).order_by("name").values_list("name", flat=True)]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _listed(data: Any, name: str) -> list[str]:
    found = data.getlist(name) if hasattr(data, "getlist") else data.get(name, [])
    return [str(one) for one in (found if isinstance(found, list) else [found])]


_MAKERS: Mapping[type, Callable[[Any], forms.Field]] = {
    Number: _number,
    Flag: lambda setting: forms.BooleanField(widget=UnfoldBooleanSwitchWidget, **_common(setting)),
    OneOf: _one_of,
    Line: lambda setting: forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget, **_common(setting)),
    Shares: lambda setting: SharesField(**_common(setting)),
    Names: _names,
    Rows: lambda setting: RowsField(setting=setting, **_common(setting)),
    Kind: _kind,
}
