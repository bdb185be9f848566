"""A second factor: six digits of an authenticator app (RFC 6238), and codes for whoever lost it.

The app's key is sealed as every secret is; of recovery codes only keyed digests are stored. Each
code is taken once: of the app's, none that is as old as one taken before; twins in several workers
are told apart by the database.
"""

from __future__ import annotations

import base64
import hmac
import io
import re
import secrets
import time
from typing import Any
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from llm_gateway.models import SUPERUSER, RecoveryCode, SecondFactor, trail
from llm_gateway.stores import vault

from . import ActionError

DIGITS, STEP_S, KEY_BYTES = 6, 30, 20
# One step to either side: clocks of phones differ, and people type.
DRIFT = (0, -1, 1)
CODES = 10
WRONG = "That code is not right. It changes every 30 seconds; each one is taken once."
# Letters and digits that nobody takes for others.
_SIGNS = "23456789abcdefghjkmnpqrstuvwxyz"
_ISSUER = "COGO LLM Gateway"


def place_of(row: SecondFactor) -> str:
    """What its ciphertext is bound to."""
    return f"secondfactor:{row.pk}:ciphertext"


def make_key() -> str:
    """A new key as apps take it: base32."""
    return base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode()


def key_address(key: str, account: str) -> str:
    """What a QR code says to an app
    (https://github.com/google/google-authenticator/wiki/Key-Uri-Format)."""
    label = quote(f"{_ISSUER}:{account}", safe="")
    return f"otpauth://totp/{label}?{urlencode({'secret': key, 'issuer': _ISSUER, 'digits': DIGITS, 'period': STEP_S}, quote_via=quote)}"


def picture(text: str) -> str:
    """``text`` as a QR code: an SVG in a ``data:`` address, made here."""
    import segno  # by the few who set one up

    out = io.BytesIO()
    segno.make(text, error="m").save(out, kind="svg", scale=4, border=4, dark="#000", light="#fff", xmldecl=False)
    return f"data:image/svg+xml;base64,{base64.b64encode(out.getvalue()).decode()}"


def has_second_factor(user: Any) -> bool:
    return bool(SecondFactor.objects.filter(pk=user.pk).exists())


def must_have(user: Any) -> bool:
    """Whether the settings want one of somebody with these roles. Queries only where they want one
    of anybody."""
    wanted: frozenset[str] = settings.COGO.get("second_factor_roles") or frozenset()
    if not wanted:
        return False
    if user.is_superuser and SUPERUSER in wanted:
        return True
    return bool(user.groups.filter(name__in=wanted).exists())


def switch_on(user: Any, key: str, code: str, now_s: float | None = None) -> list[str]:
    """Recovery codes, which nobody can tell afterwards. Raises :class:`ActionError` unless ``code``
    shows that the app has ``key``."""
    step = _step_of(key, code, now_s)
    if step is None:
        raise ActionError(WRONG)
    with transaction.atomic():
        row = SecondFactor(user=user, last_step=step)
        row.ciphertext = vault.seal(key, place=place_of(row))
        _, made = SecondFactor.objects.get_or_create(user=user, defaults={"ciphertext": row.ciphertext, "last_step": step})
        if not made:
            raise ActionError("There is a second factor already; switch it off first.")
        codes = _fresh_codes(row)
        trail.record("changed", user, changes={"second factor": [None, "on"]}, detail="Second factor switched on.")
    return codes


def passes(user: Any, text: str, now_s: float | None = None) -> bool:
    """Whether ``text`` is a code of the app or of the list; if so it is spent."""
    row = SecondFactor.objects.filter(pk=user.pk).first()
    if row is None:
        return False
    text = "".join(text.split()).lower()
    if re.fullmatch(rf"[0-9]{{{DIGITS}}}", text, re.ASCII):
        try:
            key = vault.open_sealed(row.ciphertext, place=place_of(row))
        except vault.VaultError:
            return False  # a recovery code opens all the same
        step = _step_of(key.reveal(), text, now_s)
        return step is not None and bool(SecondFactor.objects.filter(pk=row.pk, last_step__lt=step).update(last_step=step))
    spent = RecoveryCode.objects.filter(factor=row, digest=_digest(row, text), used_at=None).update(used_at=timezone.now())
    if spent:
        left = RecoveryCode.objects.filter(factor=row, used_at=None).count()
        changes = {"recovery codes": [left + 1, left]}
        trail.record("changed", user, changes=changes, detail="A recovery code was used.", who=_themself(user))
    return bool(spent)


def new_codes(user: Any) -> list[str]:
    """Other recovery codes; those of before open nothing. Raises :class:`ActionError` where there
    is no second factor."""
    with transaction.atomic():
        row = SecondFactor.objects.select_for_update().filter(pk=user.pk).first()
        if row is None:
            raise ActionError("There is no second factor.")
        row.codes.all().delete()
        codes = _fresh_codes(row)
        trail.record("changed", user, changes={"recovery codes": [trail.SEALED, trail.SEALED]}, detail="Recovery codes made anew.")
    return codes


def switch_off(user: Any, detail: str = "Second factor switched off.") -> bool:
    """False: there was none."""
    with transaction.atomic():
        gone, _ = SecondFactor.objects.filter(pk=user.pk).delete()
        if gone:
            trail.record("changed", user, changes={"second factor": ["on", None]}, detail=detail)
    return bool(gone)


def reset(user: Any) -> bool:
    """For whoever lost app and codes; a superuser or the terminal does it."""
    return switch_off(user, "Second factor reset by somebody else.")


def _fresh_codes(row: SecondFactor) -> list[str]:
    codes = ["".join(secrets.choice(_SIGNS) for _ in range(16)) for _ in range(CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(factor_id=row.pk, digest=_digest(row, code)) for code in codes)
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in codes]


def _digest(row: SecondFactor, text: str) -> bytes:
    return vault.digest(f"recovery code {row.pk} {text.replace('-', '')}")


def _step_of(key: str, code: str, now_s: float | None) -> int | None:
    """The step that ``code`` belongs to, ``None`` when it belongs to none near now."""
    code = "".join(code.split())
    if not re.fullmatch(rf"[0-9]{{{DIGITS}}}", code, re.ASCII):
        return None
    # SHA-1 is what apps know; in an HMAC nothing is known against it (RFC 6238, section 1.2).
    maker = HOTP(base64.b32decode(key), DIGITS, SHA1())  # noqa: S303  # as said
    now = int((time.time() if now_s is None else now_s) // STEP_S)
    found = [now + drift for drift in DRIFT if hmac.compare_digest(maker.generate(now + drift), code.encode())]
    return found[0] if found else None


def _themself(user: Any) -> trail.Actor:
    by = trail.actor()
    return trail.Actor(name=user.get_username(), id=user.pk, via="console", address=by.address if by else "")
