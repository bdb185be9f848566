"""Every error that a caller can get. One tree; each class carries status, code and retryable.

GatewayError
├── InvalidRequest 400 invalid_request
│   ├── InvalidJsonBody 400 invalid_json
│   ├── UnsupportedParameter 400 unsupported_parameter
│   ├── UnsupportedEncoding 415 unsupported_encoding
│   ├── IdempotencyMismatch 422 idempotency_mismatch
│   └── PromptTooLong 400 context_length_exceeded
├── Unauthenticated 401 invalid_api_key
│   └── KeyRevoked 401 key_revoked
├── PermissionDenied 403 permission_denied
├── NotFound 404 not_found
│   └── ModelNotFound 404 model_not_found
├── MethodNotAllowed 405 method_not_allowed
├── BodyTimeout 408 request_timeout
├── CallerLeft 499 client_cancelled (log only)
├── Conflict 409 conflict
│   ├── IdempotencyInFlight 409 idempotency_in_flight
│   └── IdempotencyUnknownOutcome 409 idempotency_unknown_outcome
├── BodyTooLarge 413 request_too_large
├── TargetTooLong 414 uri_too_long
├── UpgradeRequired 426 upgrade_required
├── HeadTooLarge 431 head_too_large
├── RequestExceedsBudget 402 request_exceeds_budget
├── BudgetExhausted 429 insufficient_quota
├── BudgetInFlight 429 budget_in_flight
├── RateLimited 429 rate_limited
├── Overloaded 503 overloaded
│   ├── ShuttingDown 503 server_shutting_down
│   ├── StoreUnavailable 503 store_unavailable
│   ├── StoreBusy 503 store_busy
│   └── StoreFull 503 store_full
├── NoHealthyDeployment 503 no_healthy_deployment
│   └── NotServed 503 no_healthy_deployment (not until the operator acts)
├── DeadlineExceeded 504 deadline_exceeded
├── CacheMiss 504 cache_miss
├── ConfigError 502 config_error
├── InternalError 500 internal_error
├── OutputInvalid 502 invalid_model_output
└── UpstreamError: built from a Failure by :func:`from_failure`; code and status by its class

The codes are the frozen vocabulary of the public contract (docs/troubleshooting.md says what to do
about each); a new one is a documented addition. Messages say what to do next and never hold a key,
a prompt or a stack trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

import msgspec

from .redact import without_keys


class GatewayError(Exception):
    """Base of all errors. ``retry_after_s`` is in seconds; ``details`` can be written as JSON."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "server_error"
    retryable: ClassVar[bool] = False
    # The id of the budget that refused, for the log; the caller sees its name.
    budget_id: int | None = None

    def __init__(
        self, message: str = "", *, retry_after_s: float | None = None, details: Mapping[str, Any] | None = None, param: str | None = None
    ) -> None:
        # Messages repeat what a caller typed, and the log keeps them; a key typed in place of a
        # name must not survive in either.
        message = without_keys(message)
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s
        self.details = details
        self.param = param and without_keys(param)


class InvalidRequest(GatewayError):
    status, code, type = 400, "invalid_request", "invalid_request_error"


class InvalidJsonBody(InvalidRequest):
    code = "invalid_json"


class UnsupportedParameter(InvalidRequest):
    """``param`` names the field that the chosen target does not support."""

    code = "unsupported_parameter"


class UnsupportedEncoding(InvalidRequest):
    status, code = 415, "unsupported_encoding"


class PromptTooLong(InvalidRequest):
    """No candidate's context window is large enough."""

    code = "context_length_exceeded"


class Unauthenticated(GatewayError):
    status, code, type = 401, "invalid_api_key", "authentication_error"


class KeyRevoked(Unauthenticated):
    code = "key_revoked"


class PermissionDenied(GatewayError):
    status, code, type = 403, "permission_denied", "permission_error"


class NotFound(GatewayError):
    status, code, type = 404, "not_found", "not_found_error"


class ModelNotFound(NotFound):
    code = "model_not_found"


class MethodNotAllowed(GatewayError):
    status, code, type = 405, "method_not_allowed", "invalid_request_error"


class BodyTimeout(GatewayError):
    status, code, type = 408, "request_timeout", "invalid_request_error"


class CallerLeft(GatewayError):
    """Log only: the caller hung up before the gateway sent anything to a provider."""

    status, code, type = 499, "client_cancelled", "client_error"


class Conflict(GatewayError):
    status, code, type, retryable = 409, "conflict", "conflict_error", True


class IdempotencyInFlight(Conflict):
    code = "idempotency_in_flight"


class IdempotencyUnknownOutcome(Conflict):
    code, retryable = "idempotency_unknown_outcome", False


class IdempotencyMismatch(InvalidRequest):
    status, code = 422, "idempotency_mismatch"


class BodyTooLarge(GatewayError):
    status, code, type = 413, "request_too_large", "invalid_request_error"


class UpgradeRequired(GatewayError):
    """The caller asked for a WebSocket. Agents that see this status switch to HTTP at once."""

    status, code, type = 426, "upgrade_required", "invalid_request_error"


class TargetTooLong(GatewayError):
    status, code, type = 414, "uri_too_long", "invalid_request_error"


class HeadTooLarge(GatewayError):
    status, code, type = 431, "head_too_large", "invalid_request_error"


class RequestExceedsBudget(GatewayError):
    status, code, type = 402, "request_exceeds_budget", "billing_error"


class BudgetExhausted(GatewayError):
    status, code, type = 429, "insufficient_quota", "billing_error"


class BudgetInFlight(GatewayError):
    status, code, type, retryable = 429, "budget_in_flight", "rate_limit_error", True


class RateLimited(GatewayError):
    status, code, type, retryable = 429, "rate_limited", "rate_limit_error", True


class Overloaded(GatewayError):
    status, code, type, retryable = 503, "overloaded", "overloaded_error", True


class ShuttingDown(Overloaded):
    code = "server_shutting_down"


class StoreUnavailable(Overloaded):
    code = "store_unavailable"


class StoreBusy(Overloaded):
    code = "store_busy"


class StoreFull(Overloaded):
    code = "store_full"


class NoHealthyDeployment(GatewayError):
    status, code, type, retryable = 503, "no_healthy_deployment", "overloaded_error", True


class NotServed(NoHealthyDeployment):
    """No model is available and waiting does not help: the operator has to act first."""

    type, retryable = "server_error", False


class DeadlineExceeded(GatewayError):
    status, code, type = 504, "deadline_exceeded", "timeout_error"


class CacheMiss(GatewayError):
    """The caller asked for a cached answer only, and there is none."""

    status, code, type = 504, "cache_miss", "cache_error"


class ConfigError(GatewayError):
    status, code, type = 502, "config_error", "server_error"


class InternalError(GatewayError):
    pass


class OutputInvalid(GatewayError):
    """The model's answer did not match the requested structure, even after one repair attempt."""

    status, code, type = 502, "invalid_model_output", "upstream_error"


class FailureClass(StrEnum):
    """Why an upstream attempt failed; the ``error_class`` of an attempt row (reliability.md B1,
    B2)."""

    CONNECT_REFUSED = "connect_refused"
    DNS = "dns"
    TLS = "tls"
    CONNECT_TIMEOUT = "connect_timeout"
    TTFB_TIMEOUT = "ttfb_timeout"
    STALE_CONNECTION = "stale_conn"
    BAD_REQUEST = "bad_request"
    UNSUPPORTED_PARAMETER = "unsupported_parameter"
    AUTH = "auth"
    FORBIDDEN = "forbidden"
    QUOTA = "quota"
    MODEL_GONE = "model_gone"
    TIMEOUT = "timeout"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    CONTEXT_LENGTH = "context_length"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    ERROR_IN_200 = "error_in_200"
    CONTENT_FILTER = "content_filter"
    BAD_CONTENT_TYPE = "bad_content_type"
    BAD_JSON = "bad_json"
    REDIRECT = "redirect"
    TOO_LARGE_RESPONSE = "too_large_response"
    PROTOCOL = "protocol"
    IDLE_TIMEOUT = "idle_timeout"
    RESET = "reset"
    TRUNCATED = "truncated"
    NO_TERMINAL = "no_terminal"
    BAD_EVENT = "bad_event"
    EVENT_TOO_LARGE = "event_too_large"
    SLOW_DRIP = "slow_drip"
    TOTAL_TIMEOUT = "total_timeout"
    DEADLINE = "deadline"
    CONFIG = "config"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream attempt that failed, as its wire read it.

    ``message`` is the provider's text, already redacted; ``retry_after_s`` what it asked us to
    wait, in seconds; ``should_retry``: its explicit ``x-should-retry``; ``status`` its HTTP status
    or the one embedded in a 200. For a prompt that is too long: ``prompt_tokens`` as the gateway
    estimates them, ``window`` as the catalogue lists it. ``answer``: the format's name and the
    document, where the provider's refusal is a successful answer of its format; a caller of the
    same format gets that.
    """

    kind: FailureClass
    message: str = ""
    status: int | None = None
    code: str | None = None
    retry_after_s: float | None = None
    should_retry: bool | None = None
    param: str | None = None
    prompt_tokens: int | None = None
    window: int | None = None
    answer: tuple[str, bytes] | None = None


class AttemptFailed(Exception):
    """Carries a :class:`Failure` up to the attempt loop; never reaches a caller."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind.value)
        self.failure = failure


class UpstreamError(GatewayError):
    """A :class:`Failure` as the caller sees it, once no candidate is left."""

    type = "upstream_error"

    def __init__(self, failure: Failure, status: int, code: str, retryable: bool, message: str, retry_after_s: float | None) -> None:
        super().__init__(message, retry_after_s=retry_after_s, param=failure.param)
        self.failure = failure
        self.status = status  # type: ignore[misc]  # an instance of this one class speaks for many failures
        self.code = code  # type: ignore[misc]
        self.retryable = retryable  # type: ignore[misc]
        self.type = _TYPES.get(status, "upstream_error") if status < 500 else "upstream_error"  # type: ignore[misc]


_TYPES = {400: "invalid_request_error", 404: "not_found_error", 413: "invalid_request_error", 429: "rate_limit_error"}

_K = FailureClass
# class: (status, code, retryable, message); {detail} is the provider's own, redacted text.
_CLIENT_VIEW: dict[FailureClass, tuple[int, str, bool, str]] = {
    _K.CONNECT_REFUSED: (502, "upstream_unreachable", False, "The provider refused the connection."),
    _K.DNS: (502, "upstream_dns", False, "The provider's host name could not be resolved."),
    _K.TLS: (502, "upstream_tls", False, "No trusted TLS connection to the provider was possible."),
    _K.CONNECT_TIMEOUT: (504, "upstream_timeout", False, "The provider did not accept a connection in time."),
    _K.TTFB_TIMEOUT: (504, "upstream_timeout", False, "The provider sent nothing in time."),
    _K.STALE_CONNECTION: (502, "upstream_reset", False, "The provider closed the connection before answering."),
    _K.BAD_REQUEST: (400, "invalid_request", False, "The provider refused the request: {detail}"),
    _K.UNSUPPORTED_PARAMETER: (400, "unsupported_parameter", False, "The provider does not take a parameter: {detail}"),
    _K.AUTH: (502, "upstream_auth", False, "The provider refused the gateway's key; the operator has to replace it."),
    _K.FORBIDDEN: (502, "upstream_forbidden", False, "The provider forbids this to the gateway's key."),
    _K.QUOTA: (502, "upstream_quota", False, "The gateway's account at the provider is out of credit."),
    _K.MODEL_GONE: (502, "model_unavailable", False, "The provider does not serve this model."),
    _K.TIMEOUT: (504, "upstream_timeout", False, "The provider gave up on the request."),
    _K.CONFLICT: (502, "upstream_conflict", False, "The provider reported a conflict."),
    _K.TOO_LARGE: (413, "request_too_large", False, "The request is larger than the provider takes."),
    _K.CONTEXT_LENGTH: (400, "context_length_exceeded", False, "The prompt does not fit the model's context window: {detail}"),
    _K.RATE_LIMITED: (429, "upstream_rate_limited", True, "The provider's rate limit is reached; try again later."),
    _K.SERVER_ERROR: (502, "upstream_error", False, "The provider failed."),
    _K.OVERLOADED: (503, "upstream_overloaded", True, "The provider is overloaded; try again later."),
    _K.ERROR_IN_200: (502, "upstream_error", False, "The provider answered with an error."),
    _K.CONTENT_FILTER: (400, "content_filter", False, "The provider's content filter refused the request."),
    _K.BAD_CONTENT_TYPE: (502, "upstream_bad_response", False, "The provider answered with something other than JSON."),
    _K.BAD_JSON: (502, "upstream_bad_response", False, "The provider's answer could not be read."),
    _K.REDIRECT: (502, "upstream_redirect", False, "The provider redirects; the operator has to correct its base URL."),
    _K.TOO_LARGE_RESPONSE: (502, "upstream_too_large", False, "The provider's answer is larger than the gateway takes."),
    _K.PROTOCOL: (502, "upstream_bad_response", False, "The provider broke the HTTP protocol."),
    _K.IDLE_TIMEOUT: (502, "upstream_stalled", False, "The provider stopped sending in the middle of the answer."),
    _K.RESET: (502, "upstream_reset", False, "The provider's connection broke before its answer was complete."),
    _K.TRUNCATED: (502, "upstream_truncated", False, "The provider's answer ended in the middle."),
    _K.NO_TERMINAL: (502, "upstream_truncated", False, "The provider's answer ended without saying that it was complete."),
    _K.BAD_EVENT: (502, "upstream_bad_event", False, "The provider sent an event that could not be read."),
    _K.EVENT_TOO_LARGE: (502, "upstream_bad_event", False, "The provider sent an event that is too large."),
    _K.SLOW_DRIP: (502, "upstream_stalled", False, "The provider sends too slowly."),
    _K.TOTAL_TIMEOUT: (504, "deadline_exceeded", False, "The answer took longer than allowed."),
    _K.DEADLINE: (504, "deadline_exceeded", False, "The request's deadline passed."),
    _K.CONFIG: (502, "config_error", False, "The gateway's configuration for this provider does not work; the operator has to correct it."),
}


def from_failure(failure: Failure, *, named_model: str | None = None, dialect: str = "") -> GatewayError:
    """The error a caller gets for ``failure``. ``named_model``: the model the caller asked for by
    name; if the provider has removed it, the caller gets a 404. ``dialect``: the caller's format; a
    refusal that is an answer of that format keeps its status 200."""
    if failure.kind is FailureClass.MODEL_GONE and named_model is not None:
        return ModelNotFound(f"The model `{named_model}` is not available at its provider.", param="model")
    status, code, retryable, text = _CLIENT_VIEW[failure.kind]
    if failure.kind is FailureClass.BAD_REQUEST and failure.status == 422:
        code = UnsupportedParameter.code
    if failure.answer and failure.answer[0] == dialect:
        status = 200
    message = text.format(detail=failure.message or "no reason given")
    wait = failure.retry_after_s if retryable else None
    return UpstreamError(failure, status, code, retryable, message, wait)
