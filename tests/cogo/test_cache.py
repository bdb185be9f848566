"""Redis as a cache nothing depends on: over a small Redis of the test's own, one that hangs, and none."""

from __future__ import annotations

import contextlib
import pickle
import socket
import socketserver
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

pytest.importorskip("redis")

from cogo.cache import DependableCache, NotOurs, seal, unseal


class Store(socketserver.StreamRequestHandler):
    """As much of Redis as a cache asks for, over what the test holds in ``server.values``."""

    def handle(self) -> None:
        while head := self.rfile.readline():
            words = []
            for _ in range(int(head[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2])
            self.wfile.write(self.answer(words[0].upper(), words[1:]))

    def answer(self, verb: bytes, words: list[bytes]) -> bytes:
        values = self.server.values
        match verb:
            case b"GET":
                value = values.get(words[0])
                if isinstance(value, list):
                    return b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
                return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)
            case b"SET":
                if b"NX" in words and words[0] in values:
                    return b"$-1\r\n"
                values[words[0]] = words[1]
                return b"+OK\r\n"
            case b"EXISTS" | b"DEL":
                found = words[0] in values
                if verb == b"DEL":
                    values.pop(words[0], None)
                return b":%d\r\n" % found
            case b"INCR" | b"INCRBY":
                values[words[0]] = b"%d" % (int(values[words[0]]) + int(words[1] if len(words) > 1 else 1))
                return b":%s\r\n" % values[words[0]]
            case b"HELLO":
                return b"-ERR unknown command 'HELLO'\r\n"
        return b"+OK\r\n"


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@pytest.fixture
def values():
    return {}


@pytest.fixture
def cache(values):
    with Server(("127.0.0.1", 0), Store) as server:
        server.values = values
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        found = DependableCache(f"redis://127.0.0.1:{server.server_address[1]}/0?protocol=2", {})
        yield found
        found._cache.get_client(write=True).connection_pool.disconnect()
        server.shutdown()


VALUES = [
    None, True, 7, -1, 1.5, "Zürich", "7", [], [1, [2]], (1, "two", None), {"a": 1}, {1: date(2026, 1, 2), ("x", 2): []}, {3, 4},
    datetime(2026, 1, 2, 3, tzinfo=UTC), Decimal("0.10"), UUID(int=7), b"\x00\xff",
    [({"hour": datetime(2026, 1, 1, tzinfo=UTC)}, {"n": 2})],
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_what_it_was(cache, value):
    cache.set("name", value, 60)
    found = cache.get("name", "missing")
    assert found == value
    assert type(found) is type(value)


def test_counters_count_and_a_missing_one_says_so(cache):
    assert cache.add("tries", 1, 60)
    assert not cache.add("tries", 1, 60)
    assert cache.incr("tries") == 2
    assert cache.get("tries") == 2
    with pytest.raises(ValueError, match="not found"):
        cache.incr("others")
    assert cache.get_many(["tries", "others"]) == {"tries": 2}
    assert cache.delete("tries")
    assert not cache.has_key("tries")


class Runs:
    ran = False

    def __reduce__(self):
        return (exec, ("import tests.cogo.test_cache as t; t.Runs.ran = True",))


def poison() -> dict[str, object]:
    ours = seal(":1:another", ["a"])
    assert isinstance(ours, bytes)
    return {
        "a pickle that runs something": pickle.dumps(Runs()),
        "a pickle of data": pickle.dumps({"a": 1}),
        "json without our mark": b'{"dict":[["a",1]]}',
        "a mark of zeros": b"\x00" * 32 + b'"text"',
        "nothing": b"",
        "garbage": bytes(range(256)),
        "a value of ours under another name": ours,
        "a value of ours that was changed": seal(":1:name", "abc").replace(b"abc", b"abd"),
        "deep": b"\x00" * 32 + b"[" * 100_000,
        "another kind of key": [b"a list"],
    }


@pytest.mark.parametrize("what", list(poison()))
def test_what_we_did_not_write_under_this_name_is_a_miss_and_runs_nothing(cache, values, what):
    values[b":1:name"] = poison()[what]
    assert cache.get("name", "missing") == "missing"
    assert cache.get_many(["name"]) == {}
    assert not Runs.ran
    assert cache.trouble == ""
    cache.set("other", 1, 60)
    assert cache.get("other") == 1


def test_a_value_that_is_no_plain_data_is_refused_where_it_is_written(cache):
    with pytest.raises(TypeError, match="plain data"):
        cache.set("name", object(), 60)


def test_the_mark_depends_on_the_secret(settings):
    sealed = seal("name", "value")
    settings.SECRET_KEY = "another " * 8
    with pytest.raises(NotOurs):
        unseal("name", sealed)


@contextlib.contextmanager
def silent():
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def nobody():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@pytest.mark.parametrize("redis", [silent, nobody])
def test_a_redis_that_does_not_answer_is_asked_once_and_then_left_alone(redis):
    with redis() as port:
        cache = DependableCache(f"redis://127.0.0.1:{port}/0", {})
        asked = []
        client = cache._cache.get_client
        cache._cache.get_client = lambda *a, **k: asked.append(1) or client(*a, **k)
        assert cache.get("name", "missing") == "missing"
        assert cache.add("name", 1) is False
        assert cache.set("name", [1]) is None
        assert cache.get_many(["name", "other"]) == {}
        assert cache.set_many({"name": 1}) == ["name"]
        assert cache.touch("name") is False
        assert cache.delete("name") is False
        assert cache.has_key("name") is False
        assert cache.clear() is False
        with pytest.raises(ValueError, match="not found"):
            cache.incr("name")
        assert len(asked) == 1
        assert cache.trouble
        assert not cache.works()
        assert len(asked) == 3, "its address is looked at, then it is asked once"
        client().connection_pool.disconnect()


def test_a_redis_that_is_back_is_taken_up(cache):
    cache._left_alone_until, cache.trouble = 1e12, "TimeoutError"
    assert cache.get("name", "missing") == "missing"
    assert cache.works()
    cache.set("name", "value", 60)
    assert cache.get("name") == "value"


def test_a_start_goes_on_without_a_redis_that_does_not_answer_and_says_so(settings, monkeypatch):
    from django.core import cache as django_cache

    from cogo import preflight

    with nobody() as port:
        settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
        monkeypatch.setattr(django_cache, "cache", DependableCache(settings.REDIS_URL, {}))
        said: list[str] = []
        preflight.check_cache(said.append)
    assert len(said) == 1
    assert "does not answer" in said[0]
