"""What is worked out once for many requests holds for each of them, and no longer than its catalogue."""

from __future__ import annotations

import json

import msgspec

from llm_gateway.core.secret import Secret
from llm_gateway.engine import resolve as names
from llm_gateway.engine import ways
from llm_gateway.engine.client import FixedHeaders
from llm_gateway.engine.prepare import prepare
from llm_gateway.engine.resolve import resolve
from llm_gateway.engine.ways import way_to

from .fakes import IDENTITY, WHOLE, FakeCatalog, Rig, Script


def test_each_request_has_targets_of_its_own() -> None:
    """A half-open breaker waits for the answer of one request, which it knows by its target."""
    snapshot = FakeCatalog().snapshot()
    one, other = (resolve(snapshot, IDENTITY, "abc") for _ in range(2))
    assert one == other
    assert not any(a is b for a in one.targets for b in other.targets)
    assert way_to(one.targets[0]) is way_to(other.targets[0])


def test_a_newer_catalogue_is_read_anew_and_nothing_of_the_older_is_kept() -> None:
    catalog = FakeCatalog()
    before = resolve(catalog.snapshot(), IDENTITY, "a").targets[0]
    way_to(before)
    (key,) = catalog.snapshot().credentials[1]
    newer = {**catalog.snapshot().credentials, 1: (msgspec.structs.replace(key, secret=Secret("another-key-0123456789")),)}
    snapshot = msgspec.structs.replace(catalog.snapshot(), version=2, credentials=newer)
    after = resolve(snapshot, IDENTITY, "a").targets[0]
    assert not ways._ways
    assert not way_to(before).holds_for(after)
    rig = Rig()
    assert "another-key" in prepare(rig.call("a"), after, None).headers["authorization"]
    assert "authorization" not in prepare(rig.call("a"), before, None).headers


def test_another_identity_is_another_question() -> None:
    snapshot = FakeCatalog().snapshot()
    resolve(snapshot, IDENTITY, "a")
    only_b = msgspec.structs.replace(IDENTITY, models=frozenset({"b"}))
    assert [t.upstream_id for t in resolve(snapshot, only_b, "b").targets] == ["b"]
    try:
        resolve(snapshot, only_b, "a")
    except names.ModelNotFound:
        return
    raise AssertionError("a name was opened by somebody else's question")


def test_names_of_any_length_are_not_remembered() -> None:
    snapshot = FakeCatalog().snapshot()
    name = "a" + " " * 300
    assert resolve(snapshot, IDENTITY, name).targets[0].upstream_id == "a"
    assert all(len(asked) <= 200 for _, asked, _ in names._known.found)
    way_to(msgspec.structs.replace(resolve(snapshot, IDENTITY, "a").targets[0], upstream_id="x" * 300))
    assert all(len(upstream_id) <= 200 for *_, upstream_id in ways._ways)


def test_headers_that_a_service_lets_through_are_the_requests_own() -> None:
    target = resolve(FakeCatalog().snapshot(), IDENTITY, "a").targets[0]
    target = msgspec.structs.replace(target, provider=msgspec.structs.replace(target.provider, wire="anthropic_messages"))
    way = way_to(target)
    assert isinstance(way.headers({"x-mine": "1"}), FixedHeaders)
    assert way.headers({"x-mine": "1"}) is way.headers({})
    passed = way.headers({"anthropic-beta": "b", "x-mine": "1"})
    assert (passed["anthropic-beta"], "x-mine" in passed, "anthropic-beta" in way.headers({})) == ("b", False, False)


async def test_a_request_that_passes_keeps_every_byte_but_the_model() -> None:
    rig = Rig(Script(body=WHOLE))
    target = resolve(rig.catalog.snapshot(), IDENTITY, "a").targets[0]
    call = rig.call("a")
    body = b'{"messages":[{"role":"user","content":"\\"model\\":\\"a\\" \xc3\xa4"}], "model":"a","top_p":1.0}'
    call = msgspec.structs.replace(call, inbound=msgspec.structs.replace(call.inbound, body=body))
    to = msgspec.structs.replace(target, upstream_id="another")
    assert prepare(call, to, None).body == body.replace(b'"model":"a"', b'"model":"another"')
    nested = b'{"metadata":{"model":"a"},' + body[1:]
    escaped = body.replace(b'"model":"a"', b'"\\u006dodel":"a","of":"model"')
    for odd in (nested, escaped):
        call = msgspec.structs.replace(call, inbound=msgspec.structs.replace(call.inbound, body=odd))
        sent = json.loads(prepare(call, to, None).body)
        assert (sent["model"], sent.get("metadata")) == ("another", json.loads(odd).get("metadata"))
