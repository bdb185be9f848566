"""What a provider hands to the transport: a whole body, or frames that say what they are so that faults can aim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

FrameKind = Literal["open", "content", "finish", "usage", "terminal", "error"]
Headers = tuple[tuple[str, str], ...]

_encoder = msgspec.json.Encoder()


def dump(value: Any) -> bytes:
    """Compact JSON, UTF-8, non-ASCII left as it is (providers do the same)."""
    return _encoder.encode(value)


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes that go out together. ``tokens`` is the output they would be billed for if the stream ended here."""

    data: bytes
    kind: FrameKind = "content"
    tokens: int = 0


@dataclass(eq=False)
class Problem(Exception):
    """A refusal in neutral words; each provider turns it into its own status, body and headers.

    kind: invalid_key no_key no_permission no_money billing rate_limited unknown_model retired_model unknown_path method
    bad_json bad_request too_large context filtered overloaded timeout conflict server.
    """

    kind: str
    message: str = ""
    param: str | None = None
    code: str | None = None
    status: int | None = None
    headers: Headers = ()
    model: str = ""
    key: str = ""
    used: int = 1_203_404
    limit: int = 200_000

    def worded(self, template: str) -> str:
        """The message given, else the provider's own words with model and token counts filled in."""
        text = self.message or template
        return text.replace("{model}", self.model).replace("{used}", str(self.used)).replace("{limit}", str(self.limit))

    def __post_init__(self) -> None:
        Exception.__init__(self, self.kind, self.message)


ErrorFrames = Callable[[Problem], tuple[Frame, ...]]


def no_error_frames(problem: Problem) -> tuple[Frame, ...]:
    """For replies that are no streams."""
    return ()


@dataclass(frozen=True, slots=True)
class Reply:
    """``frames`` None means one JSON (or other) body. ``billed`` is (input, output) tokens of the complete answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Headers = ()
    frames: tuple[Frame, ...] | None = None
    error_frames: ErrorFrames = field(default=no_error_frames)
    ping: bytes = b": ping\n\n"
    billed: tuple[int, int] = (0, 0)


def json_reply(value: Any, status: int = 200, headers: Headers = (), billed: tuple[int, int] = (0, 0)) -> Reply:
    """A whole JSON answer."""
    return Reply(status=status, body=dump(value), headers=headers, billed=billed)
