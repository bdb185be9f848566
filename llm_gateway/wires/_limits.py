"""What a wire takes of a value that comes from another one: lengths, alphabets, minima, media
types, schema keywords.

One table per wire, data alone: ``limits.py`` of its package, which says where the figures stand and
when they were written down. Encoders hold a request of another dialect to them
(:mod:`~llm_gateway.wires._fitting`); on its own wire a request passes as it is.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal

import msgspec

_DIGEST = 8
# Providers that charge or answer by it see one id per user, however long the caller's own is.
_LONG_ID = 64


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """``source`` and ``noted_on``: where the figures stand and when they were written down.

    ``name_chars``, ``name_class`` and ``name_start``: a tool's name; the classes are those of a
    regular expression. ``key_chars`` and ``key_class``: the name of an argument. ``id_chars`` and
    ``id_class``: a call's id. ``user_chars``: the caller's end user. ``least_output``: the smallest
    limit on output tokens. ``images``, ``documents`` and ``sounds``: media types (formats, of
    sounds) that may be sent; plain text is always taken. ``by_address``: what may be sent as a URL;
    ``public_only``: if it begins with https and names a public host. ``shown_by_model``: whether a
    model's own turn may hold media. ``failed_is_text``: a failed tool result holds only text.
    ``marks_failure``: a result has a field that says it failed. ``empty_text``: whether a turn may
    say nothing. ``empty_parameters``: whether a tool that takes nothing is sent with an empty
    schema (else without any). ``flat_parameters``: the top of a tool's schema has no ``anyOf``,
    ``oneOf``, ``allOf``. ``answer_keywords``: what a schema for the answer may say, by type, with
    ``""`` for every type; empty: everything. ``answer_formats``: of a string. ``answer_closed``:
    every object refuses further properties.
    """

    wire: str
    source: str
    noted_on: str
    name_chars: int
    name_class: str = "a-zA-Z0-9_-"
    name_start: str = "a-zA-Z0-9_-"
    id_chars: int | None = None
    id_class: str | None = None
    user_chars: int | None = None
    least_output: int = 1
    images: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()
    sounds: frozenset[str] = frozenset()
    key_chars: int | None = None
    key_class: str | None = None
    by_address: frozenset[Literal["image", "document"]] = frozenset()
    public_only: bool = False
    shown_by_model: bool = False
    failed_is_text: bool = False
    marks_failure: bool = True
    empty_text: bool = True
    empty_parameters: bool = True
    flat_parameters: bool = False
    answer_keywords: dict[str, frozenset[str]] = {}
    answer_formats: frozenset[str] = frozenset()
    answer_closed: bool = False


def fitting_name(name: str, held: Limits) -> str:
    """A tool's name as the wire takes it: the caller's own, or one with a digest, so that two names
    never become one."""
    if len(name) <= held.name_chars and re.fullmatch(f"[{held.name_start}][{held.name_class}]*", name):
        return name
    plain = re.sub(f"[^{held.name_class}]", "_", name)
    if not re.match(f"[{held.name_start}]", plain):
        plain = f"_{plain}"
    return with_digest(plain, name, held.name_chars)


def fitting_id(call_id: str, held: Limits) -> str:
    """A call's id as the wire takes it. Nobody needs the way back: the caller keeps its own
    history."""
    plain = re.sub(f"[^{held.id_class}]", "_", call_id) if held.id_class else call_id
    plain = plain or "call"
    if held.id_chars is not None and len(plain) > held.id_chars:
        return with_digest(plain, call_id, held.id_chars)
    return plain


def fitting_user(user: str | None, held: Limits) -> str | None:
    """The caller's end user, or a digest that is the same in every request."""
    if user is None or held.user_chars is None or len(user) <= held.user_chars:
        return user
    return stable_id(user)


def stable_id(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_LONG_ID]


def with_digest(plain: str, whole: str, most: int) -> str:
    digest = hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()[:_DIGEST]
    return f"{plain[: most - _DIGEST - 1]}_{digest}"
