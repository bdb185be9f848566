"""The gateway as these views see it, and where they get it from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from uuid import UUID

from llm_gateway.core.catalog import Identity
from llm_gateway.core.errors import GatewayError
from llm_gateway.engine.calls import Call, StreamAnswer, WholeAnswer
from llm_gateway.engine.explain import Explanation
from llm_gateway.engine.ports import Catalog
from llm_gateway.probes import Scoring
from llm_gateway.stores.holds import Foreseen
from llm_gateway.stores.scores import ScoreBook


class Pipeline(Protocol):
    """Both raise :class:`GatewayError`, already logged."""

    async def whole(self, call: Call) -> WholeAnswer: ...
    async def stream(self, call: Call) -> StreamAnswer: ...


class Gateway(Protocol):
    """What :func:`llm_gateway.wiring.gateway` hands out.

    ``identify`` is pure and raises ``Unauthenticated`` or ``KeyRevoked``; ``staff_identity`` may read the user's permissions from the
    database, so it is called from synchronous code only; ``reject`` writes the row of a request that a view refused;
    ``health_view`` maps (credential id, upstream id) of what is not healthy to ``state``, ``reason`` and ``wait_s``.
    """

    @property
    def catalog(self) -> Catalog: ...
    @property
    def pipeline(self) -> Pipeline: ...
    @property
    def scores(self) -> ScoreBook: ...
    @property
    def scoring(self) -> Scoring: ...
    def identify(self, presented_key: str) -> Identity: ...
    def staff_identity(self, user: Any) -> Identity: ...
    def health_view(self) -> Mapping[tuple[int, str], Mapping[str, Any]]: ...
    async def explain(self, call: Call) -> tuple[Explanation, Sequence[Foreseen]]: ...
    async def reject(
        self,
        *,
        kind: str,
        dialect: str,
        identity: Identity,
        error: GatewayError,
        model: str = "",
        request_id: UUID | None = None,
        user_id: int | None = None,
        address: str = "",
    ) -> None: ...
    async def threaded(self, work: Callable[..., Any], *args: Any) -> Any: ...


def _wired() -> Gateway:
    from llm_gateway import wiring

    return wiring.gateway()


_source: Callable[[], Gateway] = _wired


def gateway() -> Gateway:
    """The running gateway. Raises ``StoreUnavailable`` before it has started."""
    return _source()


@contextmanager
def hosted(instead: Gateway) -> Iterator[None]:
    """For tests: these views use ``instead`` inside the block."""
    global _source  # noqa: PLW0603  # the one seam of this room
    before, _source = _source, lambda: instead
    try:
        yield
    finally:
        _source = before
