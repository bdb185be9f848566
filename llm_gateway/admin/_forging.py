"""Forged forms, met before Django builds anything from them: impossible sizes are refused at once, impossible values are form errors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteMixin
from django.core.exceptions import FieldDoesNotExist, SuspiciousOperation, ValidationError
from django.db.models import BinaryField, JSONField, Model
from django.http import HttpRequest
from typing_extensions import override

from ._typed import ModelChoiceField, ModelMultipleChoiceField

# Rows of one table on a page. An alias with more targets than this is none a person keeps up.
MOST_ROWS = 100
_SIZES = ("-TOTAL_FORMS", "-INITIAL_FORMS", "-MIN_NUM_FORMS", "-MAX_NUM_FORMS")


def refuse_forged_sizes(request: HttpRequest) -> None:
    """Raises :class:`SuspiciousOperation` (400) for a management form that no page of ours has sent."""
    if request.method != "POST":
        return
    for name in request.POST:
        if not name.endswith(_SIZES):
            continue
        for value in request.POST.getlist(name):
            # Pages send the formset's own limit, 1000, back as MAX_NUM_FORMS; nothing is built from it.
            most = 1000 if name.endswith("-MAX_NUM_FORMS") else MOST_ROWS
            if not value.isascii() or not value.isdecimal() or len(value) > 4 or int(value) > most:
                raise SuspiciousOperation(f"The form says it has an impossible number of rows ({name[:60]}); reload the page.")


class _Known(AutocompleteMixin):
    """A select box that looks its chosen rows up. Values that can be no key are left out: the field itself reports them."""

    @override
    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        column = self.field.remote_field.get_related_field()
        return super().optgroups(name, [one for one in value if _fits(column, one)], attr)


class _Choice(ModelChoiceField):
    """A key of twenty digits is an unknown choice, not an error of the database driver."""

    @override
    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except OverflowError:
            raise ValidationError(self.error_messages["invalid_choice"], code="invalid_choice", params={"value": value}) from None


class _Choices(ModelMultipleChoiceField):
    @override
    def clean(self, value: Any) -> Any:
        try:
            return super().clean(value)
        except OverflowError:
            raise ValidationError(self.error_messages["invalid_list"], code="invalid_list") from None


def guarded(field: Any) -> Any:
    """The same form field, which takes nonsense for nonsense."""
    widget = getattr(field, "widget", None)
    inner = getattr(widget, "widget", widget)
    if isinstance(inner, AutocompleteMixin):
        inner.__class__ = _mixed(_Known, type(inner))  # type: ignore[arg-type]  # classes are hashable
    if isinstance(field, forms.ModelMultipleChoiceField):
        field.__class__ = _mixed(_Choices, type(field))  # type: ignore[arg-type]
    elif isinstance(field, forms.ModelChoiceField):
        field.__class__ = _mixed(_Choice, type(field))  # type: ignore[arg-type]
    return field


@cache
def _mixed(guard: Any, kind: Any) -> Any:
    return kind if issubclass(kind, guard) else type(f"Guarded{kind.__name__}", (guard, kind), {})


def _fits(column: Any, value: Any) -> bool:
    if value in (None, ""):
        return True
    try:
        column.run_validators(column.to_python(value))  # a number that no column holds is refused, too
    except (ValidationError, ValueError, TypeError, OverflowError):
        return False
    return True


# What a list may be filtered by; others (regex, range, what JSON holds) are no page's and fail in ways of their own.
_DATES = ("date", "year", "month", "day")
COMPARISONS = frozenset(
    ("exact", "iexact", "in", "isnull", "gt", "gte", "lt", "lte", "contains", "icontains", "startswith", "istartswith", *_DATES)
)
# Nobody learns of these by asking what they begin with.
_SEALED = frozenset({"password", "ciphertext", "digest"})


def comparable(model: type[Model], lookup: str, value: Any) -> bool:
    """Whether a query string may filter by this: no secret, and no comparison that fails for what it compares."""
    at: Any = model
    column: Any = None
    parts = lookup.split("__")
    while parts and at is not None:
        try:
            column = at._meta.pk if parts[0] == "pk" else at._meta.get_field(parts[0])
        except FieldDoesNotExist:
            break
        if column.name in _SEALED or isinstance(column, BinaryField):
            return False
        at = column.related_model
        del parts[0]
    if column is not None and isinstance(column, JSONField) and parts not in ([], ["exact"], ["isnull"]):
        return False
    if parts[-1:] == ["year"] and not _is_year(value):
        return False
    return column is None or COMPARISONS.issuperset(parts)


def _is_year(value: Any) -> bool:
    return all(
        str(one).isdecimal() and len(str(one)) < 5 and 1 <= int(one) <= 9999 for one in (value if isinstance(value, list) else [value])
    )
