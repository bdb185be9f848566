"""Django's sessions in the database, whose rows carry a keyed digest of the cookie: a copy of the
database opens no door.

The digest is keyed with SECRET_KEY, which is not in the database. Sessions made under one of
SECRET_KEY_FALLBACKS move to the new key.
"""

from __future__ import annotations

import hmac
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone
from typing_extensions import override

# The column's width; 160 bits of the digest.
_LENGTH = 40


def stored_key(session_key: str, secret: str = "") -> str:
    """The digest that the database stores for the cookie ``session_key``."""
    return hmac.digest(f"session\0{secret or settings.SECRET_KEY}".encode(), session_key.encode(), "sha256").hex()[:_LENGTH]


class SessionStore(DatabaseStore):
    def _found(self) -> Any:
        if not self.session_key:
            return self.model.objects.none()
        now, *before = (stored_key(self.session_key, secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))
        if before:
            self.model.objects.filter(session_key__in=before).update(session_key=now)
        return self.model.objects.filter(session_key=now, expire_date__gt=timezone.now())

    @override
    def _get_session_from_db(self) -> Any:  # type: ignore[misc]  # private to Django, whose stubs leave it out
        row = self._found().first()
        if row is None:
            self._session_key = None
        return row

    @override
    async def _aget_session_from_db(self) -> Any:  # type: ignore[misc]  # private to Django, whose stubs leave it out
        return await sync_to_async(self._get_session_from_db)()

    @override
    def exists(self, session_key: str) -> bool:
        return super().exists(stored_key(session_key))

    @override
    async def aexists(self, session_key: str) -> bool:
        return await super().aexists(stored_key(session_key))

    @override
    def create_model_instance(self, data: Any) -> Any:
        row = super().create_model_instance(data)
        row.session_key = stored_key(row.session_key)
        return row

    @override
    async def acreate_model_instance(self, data: Any) -> Any:
        row = await super().acreate_model_instance(data)
        row.session_key = stored_key(row.session_key)
        return row

    @override
    def delete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            super().delete(stored_key(key))

    @override
    async def adelete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            await super().adelete(stored_key(key))
