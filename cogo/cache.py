"""Redis as an optional cache: if it is down, silent or poisoned, the cache is simply empty.

Values are read as data, never as code, and only with the gateway's own seal for that name: someone
who can write to that Redis can neither run code here nor forge values. After a fault the gateway
skips Redis for some seconds, so that a hanging Redis costs one short wait.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry
from typing_extensions import override

log = logging.getLogger("cogo.cache")

TIMEOUT_S = 0.5
LEFT_ALONE_S = 5.0


_SEAL = hashlib.sha256().digest_size


class NotOurs(ValueError):
    """A value that this gateway did not write under this name."""


def seal(name: str, value: Any) -> int | bytes:
    """``value`` for Redis. Integers stay bare because Redis increments them. Raises TypeError for
    anything but plain data."""
    if type(value) is int:
        return value
    text = json.dumps(_marked(value), separators=(",", ":")).encode()
    return _mark(name, text) + text


def unseal(name: str, data: bytes) -> Any:
    """Raises :class:`NotOurs`."""
    mark, text = data[:_SEAL], data[_SEAL:]
    if text and hmac.compare_digest(mark, _mark(name, text)):
        return _unmarked(json.loads(text))
    try:
        return int(data)
    except ValueError:
        raise NotOurs(name) from None


def _mark(name: str, text: bytes) -> bytes:
    return hmac.digest(f"cache\0{settings.SECRET_KEY}".encode(), name.encode() + b"\0" + text, "sha256")


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": bytes.fromhex,
    "tuple": lambda items: tuple(_unmarked(item) for item in items),
    "set": lambda items: {_unmarked(item) for item in items},
    "dict": lambda pairs: {_unmarked(key): _unmarked(value) for key, value in pairs},
}


def _marked(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_marked(item) for item in value]
        case tuple():
            return {"tuple": [_marked(item) for item in value]}
        case set() | frozenset():
            return {"set": [_marked(item) for item in value]}
        case dict():
            return {"dict": [[_marked(key), _marked(item)] for key, item in value.items()]}
        case datetime():
            return {"datetime": value.isoformat()}
        case date():
            return {"date": value.isoformat()}
        case Decimal():
            return {"decimal": str(value)}
        case UUID():
            return {"uuid": str(value)}
        case bytes():
            return {"bytes": value.hex()}
    raise TypeError(f"the cache keeps plain data, not {type(value).__name__}")


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if isinstance(value, dict):
        ((kind, inner),) = value.items()
        return _READERS[kind](inner)
    return value


class _Client(RedisCacheClient):
    """Keys and waits are Any: Django hands on strings and seconds, the stubs list all that Redis
    takes."""

    def add(self, key: Any, value: Any, timeout: Any) -> bool:
        return bool(super().add(key, _Sealed(seal(key, value)), timeout))

    def get(self, key: Any, default: Any) -> Any:
        data: Any = self.get_client(key).get(key)
        return default if data is None else unseal(key, data)

    def set(self, key: Any, value: Any, timeout: Any) -> None:
        super().set(key, _Sealed(seal(key, value)), timeout)

    def set_many(self, data: Mapping[Any, Any], timeout: Any) -> None:
        super().set_many({key: _Sealed(seal(key, value)) for key, value in data.items()}, timeout)


class _Sealed:
    """A value that Django's client must pass on unchanged."""

    def __init__(self, data: int | bytes) -> None:
        self.data = data


class _HandOn:
    def dumps(self, value: _Sealed) -> int | bytes:
        return value.data

    def loads(self, data: bytes) -> Any:
        raise NotOurs("read without its name")


class DependableCache(RedisCache):
    """Never raises for Redis's faults; ``trouble`` names the last one and is empty while Redis
    works."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        options = {
            "socket_timeout": TIMEOUT_S,
            "socket_connect_timeout": TIMEOUT_S,
            "retry": Retry(NoBackoff(), 0),
            "serializer": _HandOn(),
            **params.get("OPTIONS", {}),
        }
        super().__init__(server, {**params, "OPTIONS": options})
        self._class = _Client
        self.trouble = ""
        self._left_alone_until = 0.0

    def _try(self, otherwise: Any, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if time.monotonic() < self._left_alone_until:
            return otherwise
        try:
            found = work(*args, **options)
        except (RedisError, OSError) as error:
            if isinstance(error, ResponseError) and str(error).startswith(("WRONGTYPE", "value is not an integer")):
                return otherwise  # not sealed by this gateway
            if not self.trouble:
                log.warning("the cache cannot be used; it is left out until it answers", extra={"reason": type(error).__name__})
            self.trouble = type(error).__name__
            self._left_alone_until = time.monotonic() + LEFT_ALONE_S
            return otherwise
        except ValueError:
            return otherwise  # not sealed by this gateway
        self.trouble = ""
        return found

    def works(self) -> bool:
        """Ping Redis with a short wait. Raises ValueError for an invalid address."""
        self._cache.get_client()
        self._left_alone_until = 0.0
        self._try(None, super().get, "cogo")
        return not self.trouble

    @override
    def add(self, key: Any, value: Any, *args: Any, **options: Any) -> Any:
        return self._try(False, super().add, key, value, *args, **options)

    @override
    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return self._try(default, super().get, key, default, version=version)

    @override
    def set(self, key: Any, value: Any, *args: Any, **options: Any) -> Any:
        return self._try(None, super().set, key, value, *args, **options)

    @override
    def touch(self, key: Any, *args: Any, **options: Any) -> Any:
        return self._try(False, super().touch, key, *args, **options)

    @override
    def delete(self, key: Any, version: Any = None) -> Any:
        return self._try(False, super().delete, key, version=version)

    @override
    def get_many(self, keys: Any, version: Any = None) -> dict[Any, Any]:
        missing = object()
        found = {key: self.get(key, missing, version=version) for key in keys}
        return {key: value for key, value in found.items() if value is not missing}

    @override
    def has_key(self, key: Any, version: Any = None) -> Any:
        return self._try(False, super().has_key, key, version=version)

    @override
    def incr(self, key: Any, delta: int = 1, version: Any = None) -> Any:
        """Raises ValueError when the key is missing, as every cache does; without Redis every key
        is missing."""
        found = self._try(None, super().incr, key, delta, version=version)
        if found is None:
            raise ValueError(f"Key {key!r} not found")
        return found

    @override
    def set_many(self, data: Any, *args: Any, **options: Any) -> Any:
        return self._try(list(data), super().set_many, data, *args, **options)

    @override
    def delete_many(self, keys: Any, version: Any = None) -> Any:
        return self._try(None, super().delete_many, keys, version=version)

    @override
    def clear(self) -> Any:
        return self._try(False, super().clear)
