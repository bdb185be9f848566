"""What Google takes of generateContent."""

from __future__ import annotations

from typing import Final

from llm_gateway.wires._limits import Limits

from .names import NAME

# "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z,
# 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64." Media:
# https://ai.google.dev/gemini-api/docs/image-understanding, .../audio, .../document-processing;
# files by address: https://ai.google.dev/gemini-api/docs/file-input-methods
LIMITS: Final = Limits(
    wire=NAME,
    source="https://ai.google.dev/api/caching#FunctionDeclaration",
    noted_on="2026-11-22",
    name_chars=64,
    name_class="a-zA-Z0-9_.:-",
    name_start="a-zA-Z_",
    images=frozenset(("image/jpeg", "image/png", "image/webp", "image/heic", "image/heif")),
    documents=frozenset(("application/pdf",)),
    sounds=frozenset(("wav", "mp3", "aiff", "aac", "ogg", "flac")),
    empty_text=False,
    by_address=frozenset(("image", "document")),
    public_only=True,
    shown_by_model=True,
    empty_parameters=False,
)
