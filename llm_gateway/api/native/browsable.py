"""The API in the browser: DRF's pages with our own forms, nothing from another host."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from django.template import loader
from django.utils.html import escape
from django.utils.safestring import SafeString
from rest_framework import exceptions
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request, override_method
from typing_extensions import override

_LONG = ("prompt", "code", "system", "context")


class BrowsableRenderer(BrowsableAPIRenderer):
    """Draws a view's forms from its ``body`` struct and fills them with its ``example``."""

    @override
    def get_description(self, view: Any, status_code: int) -> Any:
        return _code(super().get_description(view, status_code))

    @override
    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        form = super().get_raw_data_form(data, view, method, request)
        if form is not None:
            form.fields["_content_type"].choices = [("application/json", "application/json")]  # type: ignore[attr-defined]  # a choice field
            form.fields["_content"].initial = json.dumps(dict(getattr(view, "example", {})), indent=2, ensure_ascii=False)
        return form

    @override
    def get_rendered_html_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        names = getattr(view, "form_fields", ())
        if method != "POST" or not names:
            return super().get_rendered_html_form(data, view, method, request)
        with override_method(view, request, method) as posting:
            if not self.show_form_for_method(view, method, posting, None):
                return None
        filled = _filled(request) or view.example
        fields = [_field(field, filled.get(field.name, "")) for field in msgspec.structs.fields(view.body) if field.name in names]
        return loader.get_template("rest_framework/cogo_form.html").render({"fields": fields})

    @override
    def show_form_for_method(self, view: Any, method: str, request: Request, obj: Any) -> Any:
        try:
            return super().show_form_for_method(view, method, request, obj)
        except exceptions.APIException:
            return False


def _filled(request: Request) -> dict[str, Any]:
    """What was sent, to be corrected and sent again."""
    try:
        return dict(request.data.items()) if request.method == "POST" else {}  # type: ignore[union-attr]  # a list has no items: the except
    except (exceptions.APIException, AttributeError):
        return {}


def _code(html: str) -> SafeString:
    """Escaped text whose `backticks` become code."""
    return SafeString(re.sub(r"`([^`<>]+)`", r"<code>\1</code>", html))


def _field(field: msgspec.structs.FieldInfo, value: Any) -> dict[str, Any]:
    """One input: ``choices`` make it a list, ``long`` a text area."""
    schema = msgspec.json.schema(field.type)
    schema = next((s for s in schema.get("anyOf", ()) if s.get("type") != "null"), schema)
    return {
        "name": field.name,
        "value": value,
        "required": field.required,
        "help": _code(escape(schema.get("description", ""))),
        "choices": schema.get("enum", ()),
        "long": field.name in _LONG,
        "number": schema.get("type") in ("integer", "number"),
    }
