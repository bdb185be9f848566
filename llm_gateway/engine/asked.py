"""What a request asks of the cache: whether it may be answered out of it, and under which key."""

from __future__ import annotations

from typing import Any

import msgspec

from llm_gateway.core.caching import CacheNote
from llm_gateway.core.catalog import ModelInfo, Snapshot
from llm_gateway.core.chat import ChatRequest
from llm_gateway.core.errors import GatewayError
from llm_gateway.policies.cache_consent import Wish
from llm_gateway.policies.cache_key import Scene, answer_headers, cache_key
from llm_gateway.policies.cacheable import LARGEST_REQUEST, refusal
from llm_gateway.policies.folding import folded, only_text, with_folded

from .calls import Call
from .heavy import LARGE_BYTES, away
from .resolve import behind

_decoder = msgspec.json.Decoder(dict[str, Any])
# Meanings of model names that are remembered until the catalogue changes.
_MOST_MEANINGS = 10_000


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """``key`` ``None``: the cache is passed by, for the reason in ``why``. ``near``: the key of nearly the same question, where
    that is looked for. ``models``: those that may answer today, by id."""

    key: bytes | None
    near: bytes | None = None
    why: str = ""
    models: dict[int, ModelInfo] = {}

    @property
    def bypass(self) -> CacheNote:
        return CacheNote(status="bypass", why=self.why)


class Meaning(msgspec.Struct, frozen=True):
    """What a name means today, in words for the key."""

    words: tuple[str, ...]
    models: dict[int, ModelInfo]


class Asking:
    """Makes keys. ``secret``: of this installation, and of its newest encryption key."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._meanings: dict[tuple[int | None, str, str | None], Meaning] = {}
        self._of: Snapshot | None = None

    async def ask(self, call: Call, wish: Wish, snapshot: Snapshot) -> Asked:
        """Raises what the model's name alone leads to, as the pipeline would."""
        meaning = self._meaning(call, snapshot)
        size = len(call.inbound.body) or call.inbound.size
        if size > LARGEST_REQUEST:
            return Asked(key=None, why="the request is larger than 1 MB")
        if size < LARGE_BYTES:
            return self._read(call, wish, meaning)
        return await away(size, self._read, call, wish, meaning)

    def _read(self, call: Call, wish: Wish, meaning: Meaning) -> Asked:
        inbound, identity = call.inbound, call.identity
        chat = None if inbound.kind == "embeddings" else _chat(call)
        body = _body(call, chat)
        if body is None:
            return Asked(key=None, why="the request cannot be read")
        kind = inbound.kind if inbound.kind == "embeddings" else call.kind
        why = refusal(kind, inbound.dialect, len(inbound.body), body, chat, chance=wish.chance)
        if why:
            return Asked(key=None, why=why)
        scene = Scene(
            team_id=identity.team_id,
            client_key_id=None if wish.shared else identity.client_key_id or -(call.user_id or 0),
            kind=call.kind,
            dialect=inbound.dialect,
            model=inbound.model,
            behind=meaning.words,
            ceiling=identity.max_tokens,
            headers=answer_headers(call.headers),
            facts=(call.task_type, call.language, call.framework, "one" if inbound.single else None),
        )
        return Asked(key=cache_key(self._secret, scene, body), near=self._near(scene, body, chat, wish), models=meaning.models)

    def _near(self, scene: Scene, body: dict[str, Any], chat: ChatRequest | None, wish: Wish) -> bytes | None:
        if wish.semantic == "off" or (text := only_text(chat)) is None or (same := folded(text)) is None:
            return None
        instead = with_folded(body, text, same)
        return None if instead is None else cache_key(self._secret, msgspec.structs.replace(scene, kind=f"{scene.kind} folded"), instead)

    def _meaning(self, call: Call, snapshot: Snapshot) -> Meaning:
        if snapshot is not self._of or len(self._meanings) > _MOST_MEANINGS:
            self._meanings.clear()
            self._of = snapshot
        identity = call.identity
        name = (identity.client_key_id, call.inbound.model, call.strategy)
        known = self._meanings.get(name)
        if known is None:
            strategy, models = behind(snapshot, identity, call.inbound.model, call.strategy)
            order = models if strategy is None else sorted(models, key=lambda model: model.id)
            words = [_word(model, snapshot) for model in order]
            if strategy is not None:
                words = [f"strategy {strategy.name} {strategy.kind} {strategy.revision}", *words]
            known = self._meanings[name] = Meaning(tuple(words), {model.id: model for model in models})
        return known


def _word(model: ModelInfo, snapshot: Snapshot) -> str:
    """A provider that moved or speaks another format is another."""
    provider = snapshot.providers.get(model.provider_id)
    where = f"{provider.slug} {provider.base_url} {provider.wire}" if provider is not None else ""
    return f"{where} {model.name} {model.upstream_id}"


def _chat(call: Call) -> ChatRequest | None:
    try:
        return call.inbound.chat()
    except GatewayError:
        return None


def _body(call: Call, chat: ChatRequest | None) -> dict[str, Any] | None:
    if call.inbound.body:
        try:
            return _decoder.decode(call.inbound.body)
        except msgspec.DecodeError:
            return None
    return None if chat is None else msgspec.to_builtins(chat)
