"""Calls to a provider's batch API. Nothing is raised: what went wrong is in the answer."""

from __future__ import annotations

import asyncio

import msgspec

from llm_gateway.core.catalog import Target
from llm_gateway.core.errors import AttemptFailed, GatewayError
from llm_gateway.core.redact import redact
from llm_gateway.core.retry_after import retry_after_s
from llm_gateway.providers import join_url, services
from llm_gateway.wires import wires
from llm_gateway.wires._batch_apis import Step

from .transport import Upstream

_CONNECT_S = 10.0
# A shard is 16 MB at most, its results a few times that.
_TOTAL_S = 180.0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """``status`` 0: none came, and ``why``. ``retry_after_s``: what the provider asked for."""

    status: int
    body: bytes = b""
    why: str = ""
    retry_after_s: float | None = None

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    def said(self, target: Target) -> str:
        """For the operator, without the key."""
        if not self.status:
            return self.why
        failure = wires.get(target.provider.wire).decode_error(self.status, {}, self.body)
        return redact(f"HTTP {self.status}: {failure.message}", target.credential.secret.reveal(), limit=200)


async def ask(upstream: Upstream, target: Target, step: Step) -> Answer:
    provider = target.provider
    headers = services.get(provider.service).headers(provider.wire, target.credential.secret, {})
    if step.method == "POST":
        headers["content-type"] = step.content_type
    else:
        headers.pop("content-type", None)
    try:
        async with asyncio.timeout(_TOTAL_S):
            response = await upstream.send(
                step.method, join_url(provider.base_url, step.path), headers, step.body,
                connect_s=_CONNECT_S, allow_private=provider.allow_private,
            )  # fmt: skip
            try:
                body = await response.read()
            except BaseException:
                response.close()
                raise
    except AttemptFailed as error:
        return Answer(status=0, why=f"no answer: {error.failure.kind.value}")
    except GatewayError as error:
        return Answer(status=0, why=error.message)
    except TimeoutError:
        return Answer(status=0, why=f"no answer within {_TOTAL_S:.0f} s")
    return Answer(status=response.status, body=body, retry_after_s=_wait(response.headers))


def _wait(headers: dict[str, str]) -> float | None:
    return retry_after_s(headers)
