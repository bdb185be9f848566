"""The frozen vocabulary: what a caller is told of every upstream failure (the "Client sees" column of reliability.md B1, B2)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from llm_gateway.core import errors
from llm_gateway.core.errors import Failure, FailureClass, GatewayError, ModelNotFound, UpstreamError, from_failure

F = FailureClass

CLIENT = [
    ("U1", F.CONNECT_REFUSED, 502, "upstream_unreachable", False),
    ("U2", F.DNS, 502, "upstream_dns", False),
    ("U3", F.TLS, 502, "upstream_tls", False),
    ("U4", F.CONNECT_TIMEOUT, 504, "upstream_timeout", False),
    ("U5", F.TTFB_TIMEOUT, 504, "upstream_timeout", False),
    ("U7", F.BAD_REQUEST, 400, "invalid_request", False),
    ("U8", F.AUTH, 502, "upstream_auth", False),
    ("U9", F.FORBIDDEN, 502, "upstream_forbidden", False),
    ("U10", F.MODEL_GONE, 502, "model_unavailable", False),
    ("U11", F.TIMEOUT, 504, "upstream_timeout", False),
    ("U12", F.CONFLICT, 502, "upstream_conflict", False),
    ("U13", F.TOO_LARGE, 413, "request_too_large", False),
    ("U13 window", F.CONTEXT_LENGTH, 400, "context_length_exceeded", False),
    ("U14", F.UNSUPPORTED_PARAMETER, 400, "unsupported_parameter", False),
    ("U15", F.RATE_LIMITED, 429, "upstream_rate_limited", True),
    ("U17", F.QUOTA, 502, "upstream_quota", False),
    ("U18", F.SERVER_ERROR, 502, "upstream_error", False),
    ("U19", F.OVERLOADED, 503, "upstream_overloaded", True),
    ("U21", F.ERROR_IN_200, 502, "upstream_error", False),
    ("U22", F.CONTENT_FILTER, 400, "content_filter", False),
    ("U24", F.BAD_CONTENT_TYPE, 502, "upstream_bad_response", False),
    ("U25", F.BAD_JSON, 502, "upstream_bad_response", False),
    ("U26", F.REDIRECT, 502, "upstream_redirect", False),
    ("U27", F.TOO_LARGE_RESPONSE, 502, "upstream_too_large", False),
    ("U28", F.PROTOCOL, 502, "upstream_bad_response", False),
    ("U30", F.IDLE_TIMEOUT, 502, "upstream_stalled", False),
    ("U31", F.RESET, 502, "upstream_reset", False),
    ("U32", F.TRUNCATED, 502, "upstream_truncated", False),
    ("U33", F.NO_TERMINAL, 502, "upstream_truncated", False),
    ("U34", F.BAD_EVENT, 502, "upstream_bad_event", False),
    ("U36", F.EVENT_TOO_LARGE, 502, "upstream_bad_event", False),
    ("U37", F.SLOW_DRIP, 502, "upstream_stalled", False),
    ("U37 total", F.TOTAL_TIMEOUT, 504, "deadline_exceeded", False),
    ("C23", F.DEADLINE, 504, "deadline_exceeded", False),
    ("A22", F.CONFIG, 502, "config_error", False),
]


@pytest.mark.parametrize(("row", "kind", "status", "code", "retryable"), CLIENT, ids=[row[0] for row in CLIENT])
def test_the_client_column_holds(row: str, kind: FailureClass, status: int, code: str, retryable: bool) -> None:
    error = from_failure(Failure(kind=kind, retry_after_s=3.0))
    assert (error.status, error.code, error.retryable) == (status, code, retryable)
    assert error.retry_after_s == (3.0 if retryable else None)
    assert error.message


def test_every_class_has_words_for_a_caller() -> None:
    for kind in FailureClass:
        assert from_failure(Failure(kind=kind)).message


def test_our_own_credential_at_fault_is_never_the_callers_401() -> None:
    for kind in (F.AUTH, F.FORBIDDEN, F.QUOTA):
        assert from_failure(Failure(kind=kind, status=401)).status == 502


def test_a_model_the_caller_named_is_its_own_404() -> None:
    error = from_failure(Failure(kind=F.MODEL_GONE), named_model="gpt-4o")
    assert isinstance(error, ModelNotFound)
    assert "gpt-4o" in error.message
    assert error.param == "model"


def test_the_providers_words_reach_the_caller_only_for_the_callers_own_faults() -> None:
    secret = "internal detail of the provider"
    telling = {kind for kind in FailureClass if secret in from_failure(Failure(kind=kind, message=secret)).message}
    assert telling == {F.BAD_REQUEST, F.UNSUPPORTED_PARAMETER, F.CONTEXT_LENGTH}


def test_braces_in_a_providers_text_stay_text() -> None:
    assert "{0} {detail}" in from_failure(Failure(kind=F.BAD_REQUEST, message="{0} {detail}")).message


def test_the_type_follows_the_status() -> None:
    assert from_failure(Failure(kind=F.BAD_REQUEST)).type == "invalid_request_error"
    assert from_failure(Failure(kind=F.RATE_LIMITED)).type == "rate_limit_error"
    assert from_failure(Failure(kind=F.SERVER_ERROR)).type == "upstream_error"


def test_one_failure_does_not_change_the_next_errors_face() -> None:
    from_failure(Failure(kind=F.RATE_LIMITED))
    assert errors.UpstreamError.status == GatewayError.status


def test_every_error_of_the_tree_has_an_http_status_and_a_stable_code() -> None:
    def below(kind: type[GatewayError]) -> set[type[GatewayError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__() if child.__module__ == errors.__name__))

    tree = below(GatewayError)
    # NotServed is the kind of no_healthy_deployment that does not pass by itself.
    codes = [kind.code for kind in tree - {errors.UpstreamError, errors.InternalError, errors.NotServed, GatewayError}]
    assert len(codes) == len(set(codes))
    assert all(400 <= kind.status < 600 and kind.code.islower() for kind in tree)


def test_the_tree_in_the_docstring_is_the_tree_there_is() -> None:
    def below(parent: type[GatewayError]) -> Iterator[type[GatewayError]]:
        for child in parent.__subclasses__():
            yield child
            yield from below(child)

    lines = (errors.__doc__ or "").splitlines()
    drawn = {name: (line.index(name), line) for line in lines for name in re.findall(r"── (\w+)", line)}
    for kind in below(GatewayError):
        if kind.__module__ != errors.__name__ or kind is UpstreamError or issubclass(kind, UpstreamError):
            continue
        depth, line = drawn[kind.__name__]
        assert f"{kind.__name__} {kind.status} {kind.code}" in line
        parent = kind.__bases__[0]
        assert depth == (4 if parent is GatewayError else drawn[parent.__name__][0] + 4), kind.__name__
