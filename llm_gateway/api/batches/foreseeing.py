"""Which deployment the next line of a model will be asked of, as far as that can be known beforehand."""

from __future__ import annotations

from llm_gateway.core.catalog import Identity, Target
from llm_gateway.core.errors import GatewayError
from llm_gateway.engine.resolve import resolve
from llm_gateway.wiring import Gateway

_NOBODY = Identity(client_key_id=None, public_id="", name="", team_id=0, team="", scopes=frozenset())


class Foresight:
    """Call it with a model name. Empty: a strategy chooses anew for each line, or the name means nothing."""

    def __init__(self, found: Gateway) -> None:
        self._found = found
        self._version: object = None
        self._targets: dict[str, tuple[Target, ...]] = {}

    def __call__(self, model: str) -> str:
        for target in self._of(model):
            if self._found.health.look(target) is None:
                return f"{target.provider.slug}/{target.upstream_id}"
        return ""

    def _of(self, model: str) -> tuple[Target, ...]:
        snapshot = self._found.catalog.snapshot()
        if snapshot.version != self._version:
            self._version, self._targets = snapshot.version, {}
        if model not in self._targets:
            try:
                resolution = resolve(snapshot, _NOBODY, model, None)
            except GatewayError:
                self._targets[model] = ()
            else:
                self._targets[model] = () if resolution.strategy is not None else resolution.targets
        return self._targets[model]
