"""Connect a provider on one page: choose the host, paste the key, see it checked, tick its models."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.debug import sensitive_post_parameters
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from llm_gateway.actions import ActionError
from llm_gateway.actions.connect_models import Wanted, connect_models
from llm_gateway.actions.list_models import Listed, list_models
from llm_gateway.core.keys import KeyState
from llm_gateway.models import Provider
from llm_gateway.providers.presets import Preset, presets
from llm_gateway.wires import wires

from . import _verbs
from ._show import key_badge, price

if TYPE_CHECKING:
    from ._base import GatewayAdmin

    Base = GatewayAdmin
else:
    Base = object

NEEDS = ("llm_gateway.add_provider", "llm_gateway.add_providerkey", "llm_gateway.add_languagemodel")
ENTERS_PRICES = "llm_gateway.add_price"
CLOUDS = ("azure", "bedrock", "vertex")
MOST_TICKED = 200


class ConnectForm(forms.Form):
    title = forms.CharField(label="Title", max_length=100, widget=UnfoldAdminTextInputWidget)
    slug = forms.SlugField(
        label="Name", max_length=60, widget=UnfoldAdminTextInputWidget, help_text="Callers write it before a model's id: NAME/ID."
    )
    base_url = forms.CharField(label="Base URL", max_length=300, widget=UnfoldAdminTextInputWidget)
    wire = forms.ChoiceField(label="API format", widget=UnfoldAdminSelectWidget)
    key = forms.CharField(
        label="Key",
        required=False,
        max_length=4096,
        widget=UnfoldAdminPasswordWidget(
            render_value=False, attrs={"autocomplete": "new-password", "spellcheck": "false", "placeholder": "Paste it here"}
        ),
        help_text="Stored encrypted, never shown again, checked with the host at once.",
    )
    allow_private = forms.BooleanField(
        label="At a private address",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="For a host on this machine or in your network; its models are free unless you give a price.",
    )

    def __init__(self, *args: Any, preset: Preset | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preset = preset
        names = sorted(name for name in wires if name != "native")
        field = self.fields["wire"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, name.replace("_", " ")) for name in names]
        if preset is not None:
            del self.fields["wire"]
            self.initial.update(title=preset.title, slug=preset.name, base_url=preset.base_url, allow_private=preset.local)
            self.fields["base_url"].widget.attrs["placeholder"] = preset.example

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        try:
            return _verbs.clean_secret(key) if key else ""
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"].lower()
        if Provider.objects.filter(slug=slug).exists():
            raise forms.ValidationError(f"There is a provider named {slug} already; choose another name, or open it under Providers.")
        return slug

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and self.preset is not None and not self.preset.local and not cleaned["key"]:
            self.add_error("key", f"{self.preset.title} needs a key; paste one.")
        if "base_url" in cleaned:
            try:
                cleaned["base_url"] = _verbs.checked_base_url(cleaned["base_url"], bool(cleaned.get("allow_private")))
            except ValueError as error:
                self.add_error("base_url", str(error))
        return cleaned


class ConnectPages(Base):
    def connect_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(sensitive_post_parameters("key")(self.connect_view))
        return [path("connect/", view, name="llm_gateway_provider_connect")]

    def connect_view(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perms(NEEDS):
            raise PermissionDenied
        if asked := request.GET.get("provider"):
            row = self.get_object(request, asked)
            if row is None:
                messages.error(request, "That provider is gone; choose a host again.")
                return HttpResponseRedirect(reverse("admin:llm_gateway_provider_connect"))
            return self._models(request, row)
        name = request.GET.get("preset", "")
        return self._key(request, presets().get(name)) if name else self._page(request, "connect_choose", **_choices())

    def _key(self, request: HttpRequest, preset: Preset | None) -> HttpResponse:
        form = ConnectForm(request.POST or None, preset=preset)
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            wire = preset.wire if preset else given["wire"]
            try:
                row = _verbs.connect_provider(
                    given["slug"], wire, given["base_url"], key=given["key"] or None, allow_private=given["allow_private"],
                    title=given["title"], preset=preset.name if preset else "",
                )  # fmt: skip
            except ActionError as error:
                form.add_error(None, str(error))
            else:
                self.log_addition(request, row, "Connected.")
                return HttpResponseRedirect(f"{reverse('admin:llm_gateway_provider_connect')}?provider={row.pk}")
        return self._page(request, "connect_key", form=form, preset=preset)

    def _models(self, request: HttpRequest, row: Provider) -> HttpResponse:
        key = row.keys.order_by("pk").first()
        listed: list[Listed] = []
        problem = ""
        if key is not None and KeyState(key.state).routable:
            try:
                listed = list_models(row)
            except ActionError as error:
                problem = str(error)
        may_price = request.user.has_perm(ENTERS_PRICES)
        if request.method == "POST":
            try:
                added = connect_models(row, _wanted(request, listed, may_price))
            except ActionError as error:
                messages.error(request, str(error))
            else:
                self._tell(request, row, [one for one in added if not one.prices.exists()], len(added))
                return HttpResponseRedirect(self.change_url(row.pk))
        lines = [(one, price(one.price_in) if one.price_in is not None else "", price(one.price_out)) for one in listed]
        return self._page(
            request, "connect_models", provider=row, key=key, state=key_badge(key.state, key.enabled) if key else "", lines=lines,
            problem=problem, may_price=may_price, routable=key is not None and KeyState(key.state).routable,
            change_url=self.change_url(row.pk), free=row.allow_private,
            key_url=reverse("admin:llm_gateway_providerkey_change", args=[key.pk]) if key else "",
            delete_url=reverse("admin:llm_gateway_provider_delete", args=[row.pk]),
        )  # fmt: skip

    def _tell(self, request: HttpRequest, row: Provider, unpriced: list[Any], count: int) -> None:
        messages.success(
            request, f"{row.title} is connected, with {count} model{'s' if count != 1 else ''}; workers know within 2 seconds."
        )
        if unpriced:
            names = ", ".join(one.name for one in unpriced[:5])
            messages.warning(request, f"No price is known for {names}: requests to a model without a price are refused.")

    def _page(self, request: HttpRequest, template: str, **more: Any) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "title": "Connect a provider", **more}
        return TemplateResponse(request, f"admin/llm_gateway/{template}.html", context)


def _choices() -> dict[str, Any]:
    known = list(presets().values())
    taken = dict(Provider.objects.values_list("slug", "pk"))
    return {
        "hosted": [one for one in known if not one.local and one.name not in CLOUDS and one.name not in taken],
        "clouds": [one for one in known if one.name in CLOUDS],
        "local": [one for one in known if one.local],
        "present": Provider.objects.order_by("title"),
    }


def _wanted(request: HttpRequest, listed: list[Listed], may_price: bool) -> list[Wanted]:
    """What was ticked and typed. The host's figures are read again: a form could say anything of them. Raises ``ActionError``."""
    by_id = {one.id: one for one in listed}
    ticked = list(dict.fromkeys(request.POST.getlist("model")))
    typed = [word for word in re.split(r"[\s,]+", request.POST.get("ids", "")) if word]
    names = list(dict.fromkeys([*ticked, *typed]))
    if not names:
        raise ActionError("Tick at least one model, or enter an id.")
    if len(names) > MOST_TICKED:
        raise ActionError(f"That are {len(names)} models; at most {MOST_TICKED} are added at once.")
    own = _typed_price(request) if may_price else (None, None)
    found = []
    for name in names:
        one = by_id.get(name, Listed(id=name))
        host = one.source.startswith("the host")
        if one.price_in is None:
            found.append(Wanted(id=name, price_in=own[0], price_out=own[1], context_window=one.context_window))
        else:
            prices = (one.price_in, one.price_out) if host else (None, None)
            found.append(
                Wanted(id=name, price_in=prices[0], price_out=prices[1], context_window=one.context_window, source=one.source[:60])
            )
    return found


def _typed_price(request: HttpRequest) -> tuple[Decimal | None, Decimal | None]:
    texts = [request.POST.get(name, "").strip() for name in ("price_in", "price_out")]
    try:
        found = [Decimal(text) if text and len(text) < 20 else None for text in texts]
    except InvalidOperation:
        raise ActionError("A price is an amount in USD per million tokens, such as 0.50.") from None
    return found[0], found[1]
