"""Upload a table or JSONL, look at what it would be and cost, start it as a batch of a client key whose rights and budgets hold.

Large files come in parts (``batch_upload.js``): the door takes no large form from a browser. What was uploaded and what was looked at is
named by signed tokens that only the same account can use, for two hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from llm_gateway.core.errors import GatewayError
from llm_gateway.core.roles import SPENDS
from llm_gateway.models import ClientKey, trail
from llm_gateway.policies.batches import LARGEST_FILE

from . import _verbs
from ._names_known import names
from ._show import usd

if TYPE_CHECKING:
    from llm_gateway.actions.upload_batch import Checked, Wanted

    from ._base import GatewayAdmin

    Base = GatewayAdmin
else:
    Base = object

_SEES_KEYS = "llm_gateway.view_clientkey"
_SALT = "cogo.batch-upload"
TOKEN_S = 2 * 3600
PART_BYTES = 2 << 20


class UploadForm(forms.Form):
    file = forms.FileField(required=False, label="File", help_text="CSV with a line of headings, or JSONL. Up to 200 MB.")
    upload = forms.CharField(required=False, max_length=2000, widget=forms.HiddenInput)
    prompt = forms.CharField(
        required=False, max_length=100_000, label="Prompt", strip=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="For a CSV: each {column} is replaced by the row's cell. Empty: the column “prompt”, or the only one, is the prompt.",
    )  # fmt: skip
    key = forms.ChoiceField(
        label="Client key", widget=UnfoldAdminSelectWidget, help_text="Its models, rights and budgets hold; it is charged."
    )
    model = forms.CharField(
        max_length=200, initial="auto", label="Model or strategy", widget=UnfoldAdminTextInputWidget(attrs={"list": "batch-models"}),
        help_text="Where a line of the file names none. auto: the strategy in force.",
    )  # fmt: skip
    max_tokens = forms.IntegerField(
        required=False, min_value=1, max_value=1_000_000, label="Tokens at most per answer",
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric", "placeholder": "the model's"}),
    )  # fmt: skip
    language = forms.CharField(
        required=False, max_length=60, label="Language of the code", widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "python"})
    )
    title = forms.CharField(
        required=False, max_length=200, label="Name", widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "the file's"})
    )
    on_budget = forms.ChoiceField(
        choices=[("pause", "wait until it may go on"), ("fail", "fail the rest")], label="When a budget is used up",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    score = forms.BooleanField(required=False, label="Score the code of each answer", widget=UnfoldBooleanWidget)
    economy = forms.BooleanField(required=False, label="Use cheaper, slower capacity where it is priced", widget=UnfoldBooleanWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now = timezone.now()
        rows = ClientKey.objects.filter(revoked_at=None).select_related("team").order_by("team__name", "name")[:500]
        usable = [row for row in rows if "generate" in row.scopes and (row.expires_at is None or row.expires_at > now)]
        field = self.fields["key"]
        assert isinstance(field, forms.ChoiceField)
        self._keys = [("", "choose one"), *((row.public_id, f"{row.team.name}: {row.name}") for row in usable)]
        field.choices = self._keys

    @property
    def key_name(self) -> str:
        return next((title for value, title in self._keys if value == self["key"].value()), "")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        file = cleaned.get("file")
        if file is None and not cleaned.get("upload"):
            self.add_error("file", "Choose a file.")
        for name in ("prompt", "model", "language", "title"):
            if "\x00" in (cleaned.get(name) or ""):
                self.add_error(name, "This text holds a NUL.")
        return cleaned


class BatchUploads(Base):
    """The pages of it, for whoever may spend and see client keys."""

    def upload_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("new/", wrap(self.upload_view), name="llm_gateway_batch_new"),
            path("new/part/", wrap(require_POST(self.part_view)), name="llm_gateway_batch_part"),
            path("new/start/", wrap(require_POST(self.start_view)), name="llm_gateway_batch_start"),
        ]

    def may_upload(self, request: HttpRequest) -> bool:
        return request.user.has_perm(SPENDS) and request.user.has_perm(_SEES_KEYS) and self.has_view_permission(request)

    def upload_view(self, request: HttpRequest) -> HttpResponse:
        if not self.may_upload(request):
            raise PermissionDenied
        form = UploadForm(request.POST or None, request.FILES or None)
        kept = _opened(request, request.POST.get("upload", ""))
        context: dict[str, Any] = {"upload": kept and {**kept, "token": request.POST["upload"]}, "checked": None}
        if request.method == "POST" and form.is_valid():
            context |= self._looked_at(request, form)
        context |= {
            **self.admin_site.each_context(request), "title": "New batch", "opts": self.opts, "form": form, "names": names(),
            "form_media": form.media + forms.Media(js=["llm_gateway/batch_upload.js"]), "cancel_url": self.list_url(),
            "key_name": form.key_name, "part_url": reverse("admin:llm_gateway_batch_part"), "part_bytes": PART_BYTES,
            "most_bytes": LARGEST_FILE,
        }  # fmt: skip
        response = TemplateResponse(request, "admin/llm_gateway/batch_upload.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def _looked_at(self, request: HttpRequest, form: UploadForm) -> dict[str, Any]:
        """What to draw of a form that was sent; what is wrong stands in the form."""
        asked = form.cleaned_data
        upload = _opened(request, asked["upload"]) if asked["upload"] else None
        if asked["upload"] and upload is None:
            form.add_error("file", "The upload is gone: it is kept for two hours. Choose the file again.")
            return {}
        try:
            identity, snapshot = _verbs.batch_identity(asked["key"], _address(request))
            if upload is None:
                row = _verbs.keep_upload(identity, asked["file"].name, asked["file"].chunks())
                upload = {"file": row.pk.hex, "name": row.name, "bytes": row.bytes}
            checked = _verbs.check_upload(identity, snapshot, UUID(upload["file"]), upload["name"], _wanted(asked, upload["name"]))
        except GatewayError as error:
            form.add_error("key" if error.param == "key" else None, error.message)
            return {"upload": upload and {**upload, "token": _signed(request, upload)}}
        found = {"upload": {**upload, "token": _signed(request, upload)}, "checked": checked, "cards": _cards(checked)}
        if checked.file is not None:
            found["token"] = _signed(request, {"start": _start(asked, checked, upload), "key": asked["key"], "raw": upload["file"]})
        return found

    def part_view(self, request: HttpRequest) -> HttpResponse:
        """One part of a large file: ``at``, ``data``; with the first one ``name`` and ``key``, with the others the token of the answer."""
        if not self.may_upload(request):
            raise PermissionDenied
        part = request.FILES.get("data")
        at = request.POST.get("at", "")
        if part is None or not (at.isdecimal() and len(at) < 12):
            return JsonResponse({"error": "A part needs `data` and `at`."}, status=400)
        try:
            if token := request.POST.get("upload", ""):
                known = _opened(request, token)
                if known is None:
                    return JsonResponse({"error": "The upload is gone; choose the file again."}, status=404)
            else:
                identity, _ = _verbs.batch_identity(request.POST.get("key", ""), _address(request))
                row = _verbs.begin_upload(identity, request.POST.get("name", "")[:200])
                known = {"file": row.pk.hex, "name": row.name}
            size = _verbs.append_upload(UUID(known["file"]), int(at), b"".join(part.chunks()))
        except GatewayError as error:
            return JsonResponse({"error": error.message}, status=error.status)
        return JsonResponse({"upload": _signed(request, {**known, "bytes": size}), "bytes": size})

    def start_view(self, request: HttpRequest) -> HttpResponse:
        if not self.may_upload(request):
            raise PermissionDenied
        known = _opened(request, request.POST.get("token", ""))
        if known is None or "start" not in known:
            messages.error(request, "What you looked at is gone: it is kept for two hours. Upload the file again.")
            return HttpResponseRedirect(reverse("admin:llm_gateway_batch_new"))
        try:
            identity, snapshot = _verbs.batch_identity(known["key"], _address(request))
            batch, made = _verbs.start_upload(identity, snapshot, known["start"], UUID(known["raw"]))
        except GatewayError as error:
            messages.error(request, f"{error.message} Nothing was started.")
            return HttpResponseRedirect(reverse("admin:llm_gateway_batch_new"))
        if made:
            trail.record("did", batch, detail=f"Started from an upload, under the client key {identity.name}.")
            messages.success(request, "The batch is started. This page shows how far it is.")
        return HttpResponseRedirect(self.change_url(batch.pk))


def _wanted(asked: dict[str, Any], name: str) -> Wanted:
    from llm_gateway.actions.upload_batch import Wanted

    given = {"max_tokens": asked["max_tokens"], "language": asked["language"].strip() or None, "score": asked["score"] or None}
    return Wanted(
        is_table=_verbs.is_table(name),
        prompt=asked["prompt"],
        model=asked["model"].strip(),
        defaults={field: value for field, value in given.items() if value is not None},
        economy=asked["economy"],
    )


def _start(asked: dict[str, Any], checked: Checked, upload: dict[str, Any]) -> dict[str, Any]:
    assert checked.file is not None
    return {
        "file": checked.file.hex, "dialect": checked.kind.dialect, "endpoint": checked.kind.endpoint, "model": asked["model"].strip(),
        "title": asked["title"].strip() or upload["name"], "on_budget": asked["on_budget"], "economy": asked["economy"],
    }  # fmt: skip


def _cards(checked: Checked) -> list[tuple[str, str, str]]:
    models = ", ".join(f"{count:,} × {name}" for name, count in sorted(checked.models.items(), key=lambda one: -one[1])[:5])
    if checked.worst is None or checked.expected is None:
        cost = ("Cost", "unknown", "Some model has no price, so nobody can say.")
    else:
        cost = ("Cost", f"about {usd(checked.expected, 4)}", f"at most {usd(checked.worst, 4)}, if every answer is as long as it may be")
    return [("Requests", f"{checked.total:,}", models), cost]


def _address(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR") or "")[:45]


def _signed(request: HttpRequest, what: dict[str, Any]) -> str:
    return signing.dumps({**what, "user": request.user.pk}, salt=_SALT, compress=True)


def _opened(request: HttpRequest, token: str) -> dict[str, Any] | None:
    try:
        found = signing.loads(token, salt=_SALT, max_age=TOKEN_S)
    except signing.BadSignature:
        return None
    return found if isinstance(found, dict) and found.get("user") == request.user.pk else None
