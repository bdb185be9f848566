"""The base of every native view: DRF's request life cycle with ``async def`` handlers.

For a key everything but the handler is plain computation. For a session, whatever may query (user, permissions, CSRF) runs in a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from inspect import isawaitable
from typing import Any, ClassVar, TypeVar, cast

import msgspec
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from llm_gateway.api.limits import limit_headers
from llm_gateway.api.refusal import presented_key
from llm_gateway.core import json
from llm_gateway.core.catalog import Identity
from llm_gateway.engine.heavy import away

from . import contract
from .auth import ClientKeyAuthentication, identity_of
from .browsable import BrowsableRenderer
from .errors import as_gateway_error, request_id
from .host import gateway
from .parsing import StrictJSONParser, fit, form_object, is_form, json_object

log = logging.getLogger("cogo.api")
B = TypeVar("B", bound=contract.Body)


class Negotiation(DefaultContentNegotiation):
    """A program gets JSON whatever it accepts (it may ask for an event stream in the body); a browser gets a page."""

    @override
    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        if presented_key(request.headers) is None:
            try:
                renderer, media_type = super().select_renderer(request, renderers, format_suffix)
            except (exceptions.NotAcceptable, exceptions.NotFound, Http404):
                pass
            else:
                return renderer, str(media_type)
        first = next(iter(renderers))
        return first, first.media_type


class AsyncAPIView(APIView):
    """Handlers are ``async def`` and return a response or a value that becomes one (a struct or a dict).

    ``kind``: how a refused request is logged; empty for views that read. ``body``: the struct of the POST body, whose fields
    ``form_fields`` names make up the form in the browser, and ``example`` fills it in.
    """

    authentication_classes = (ClientKeyAuthentication, SessionAuthentication)
    renderer_classes = (JSONRenderer, BrowsableRenderer)
    content_negotiation_class = Negotiation
    parser_classes = (StrictJSONParser, MultiPartParser, FormParser)
    kind: ClassVar[str] = ""
    body: ClassVar[type[contract.Body] | None] = None
    example: ClassVar[Mapping[str, Any]] = {}
    form_fields: ClassVar[tuple[str, ...]] = ()

    # What the pipeline has seen, it has logged; ``asked`` is the model name a refused request is logged with.
    handed_over = False
    asked = ""

    @property
    def identity(self) -> Identity:
        """Of the request that was let in: no query."""
        return identity_of(self.request)

    @property
    def user_id(self) -> int | None:
        """The staff member who calls from the browser."""
        user = self.request.user
        return user.pk if isinstance(getattr(user, "pk", None), int) else None

    @property
    def address(self) -> str:
        """The caller's, as the door found it."""
        return str(self.request.META.get("REMOTE_ADDR") or "")

    @property
    def size(self) -> int:
        """Of the body, in bytes; the door has counted them."""
        return int(self.request._request.headers.get("content-length") or 0)

    async def read(self, into: type[B]) -> B:
        """The request's body as ``into``; an HTML form only from a session."""
        request: HttpRequest = self.request._request
        if is_form(request) and self.identity.client_key_id is None:
            return fit(contract.settled(form_object(cast(Mapping[str, Any], self.request.data))), into, lax=True)
        return await away(self.size, _read, request, into)

    @override
    def get_renderers(self) -> list[BaseRenderer]:
        return [JSONRenderer(), BrowsableRenderer()] if settings.COGO["browsable_api"] else [JSONRenderer()]

    @override
    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        self.args, self.kwargs = args, kwargs
        self.request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers
        try:
            if presented_key(request.headers) is not None:
                self.initial(self.request, *args, **kwargs)
            else:
                await sync_to_async(self._initial_of_session)(request)
            answer = self._handler()(self.request, *args, **kwargs)
            if isawaitable(answer):
                answer = await answer
        except Exception as error:  # DRF's own boundary: the handler turns every error into an answer
            await self._log_refusal(error)
            answer = self.handle_exception(error)
        if not isinstance(answer, HttpResponseBase):
            answer = Response(msgspec.to_builtins(answer))
        response = self.finalize_response(self.request, answer, *args, **kwargs)
        response.headers.setdefault("x-request-id", str(request_id(request)))
        caller = getattr(request, "cogo_identity", None)
        for name, value in limit_headers("native", caller) if caller is not None else ():
            response.headers[name] = value
        plain = _rendered(response)
        plain._has_been_logged = True  # type: ignore[attr-defined]  # what a caller did wrong is a row, not a warning of Django's
        return plain

    def _initial_of_session(self, request: HttpRequest) -> None:
        # CSRF looks for a form field in the body, which can be read as a stream only once.
        if is_form(request):
            self.request.data  # noqa: B018  # read for what reading does
        else:
            request.body  # noqa: B018
        self.initial(self.request, *self.args, **self.kwargs)

    def _handler(self) -> Any:
        method = str(self.request.method).lower()
        if method == "get" and not hasattr(self, "get") and isinstance(self.request.accepted_renderer, BrowsableRenderer):
            return self._explain
        return getattr(self, method, self.http_method_not_allowed) if method in self.http_method_names else self.http_method_not_allowed

    def _explain(self, request: Request) -> Response:
        """What a browser sees that opens an address which only takes POST."""
        return Response({"detail": "Send a POST request; the form below does.", "example": dict(self.example)})

    async def _log_refusal(self, error: Exception) -> None:
        """The ``rejected`` row of a request that was refused here, before the pipeline saw it."""
        known = getattr(self.request._request, "cogo_identity", None)
        if not self.kind or self.handed_over or known is None or isinstance(error, exceptions.MethodNotAllowed):
            return
        refusal = as_gateway_error(error)
        try:
            await gateway().reject(
                kind=self.kind,
                dialect="native",
                identity=known,
                error=refusal,
                model=self.asked[:200],
                request_id=request_id(self.request),
                user_id=self.user_id,
                address=self.address,
            )
        except Exception:  # the caller is told its own error first
            log.warning("a refused request could not be logged", extra={"request_id": str(request_id(self.request))}, exc_info=True)


def _read(request: HttpRequest, into: type[B]) -> B:
    return fit(contract.settled(json_object(request)), into)


def _rendered(response: HttpResponseBase) -> HttpResponseBase:
    """JSON as a finished response: Django would hop to a thread for :meth:`Response.render`."""
    if not isinstance(response, Response) or not isinstance(response.accepted_renderer, JSONRenderer):
        return response
    body = b"" if response.data is None else json.dumps(response.data)
    plain = HttpResponse(body, status=response.status_code, content_type="application/json")
    for name, value in response.headers.items():
        if name.lower() != "content-type":
            plain[name] = value
    plain.cookies = response.cookies
    return plain
