"""A chunk that is read by comparing it with the one before means what it means when it is decoded."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_gateway.core.errors import AttemptFailed
from llm_gateway.core.events import Frame, TextDelta
from llm_gateway.wires.openai_chat import stream_in
from llm_gateway.wires.openai_chat.alike import Alike
from llm_gateway.wires.openai_chat.stream_in import ChatStreamDecoder

Read = tuple[list[Frame], object]


def fed(pieces: list[bytes]) -> Read:
    """The frames of a stream, and how it failed if it did."""
    decoder = ChatStreamDecoder()
    frames: list[Frame] = []
    try:
        for piece in pieces:
            frames += decoder.feed(piece)
        frames += decoder.close()
    except AttemptFailed as error:
        return frames, error.failure
    return frames, None


def in_full(data: bytes) -> Read:
    """Byte by byte: no read holds a whole frame, so each is decoded."""
    return fed([data[at : at + 1] for at in range(len(data))])


def whole_frames(data: bytes) -> list[bytes]:
    return re.findall(rb".*?\n\n|.+\Z", data, re.DOTALL)


BASE = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def chunk(delta: dict[str, Any], *, padding: str | None = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    value: dict[str, Any] = {**BASE, "choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}], **more}
    if padding is not None:
        value["obfuscation"] = padding
    return b"data: " + json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n\n"


WORDS = (
    "Hello", " world", "ä", "語", "😀", "\ud83d", "\ude00", '"', "\\", "\n", "\x00", "\u2028", "\U0010d800", 'a","x":"b', "data: ", "\r",
)  # fmt: skip
PADDINGS = (None, "", "aB3", 'x"', "\\", "é")
TEXTS = st.text(max_size=4) | st.sampled_from(WORDS)
PADDING = st.sampled_from(PADDINGS)
PLAIN = st.builds(lambda text, padding: chunk({"content": text}, padding=padding), TEXTS, PADDING)
ODDITIES = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "one"}, index=1),
    chunk({"reasoning_content": "hm"}),
    chunk({"content": "both", "reasoning_content": "hm"}),
    chunk({"refusal": "no"}),
    chunk({"content": [{"text": "piece"}]}),
    chunk({"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{"}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}),
    chunk({}, finish="stop"),
    chunk({"content": "last"}, finish="stop"),
    chunk({"content": "told"}, usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
    chunk({"content": "twice"}, content="twice"),
    chunk({"content": "no id"}, id=None),
    chunk({"content": "fault"}, error={"message": "no"}),
    b'data: {"choices": [{"delta": {"content": "spaced"}}]}\n\n',
    chunk({"content": "spelt"}).replace(b'"content"', b'"cont\\u0065nt"'),
    b": alive\n\n",
    b"\n\n",
    b"data: [DONE]\n\n",
    b"data: {\n\n",
    b"event: error\ndata: {}\n\n",
    chunk({"content": "crlf"}).replace(b"\n\n", b"\r\n\r\n"),
    chunk({"content": "bad"}).replace(b"bad", b"\xe2\x82"),
    chunk({"content": "two"}).replace(b"two", b'two","more":"fields'),
)
ODD = st.sampled_from(ODDITIES)


def test_whatever_comes_after_a_piece_of_text_means_what_it_means() -> None:
    for padding in PADDINGS[:3:2]:
        begin = [chunk({"role": "assistant", "content": ""}), chunk({"content": "Hello"}, padding=padding)]
        for odd in (*ODDITIES, *(chunk({"content": word}, padding=one) for word in WORDS for one in PADDINGS[::2])):
            frames = [*begin, odd, *(chunk({"content": word}, padding=padding) for word in (" a", " b", " c")), b"data: [DONE]\n\n"]
            assert fed(frames) == in_full(b"".join(frames)), odd


@given(st.lists(PLAIN | PLAIN | ODD, max_size=12), st.lists(st.integers(0, 2000), max_size=6))
@settings(max_examples=100, deadline=None)
def test_whole_frames_mean_what_their_bytes_mean_one_by_one(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    wanted = in_full(data)
    assert fed(whole_frames(data)) == wanted
    assert fed([data]) == wanted
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    assert fed([data[a:b] for a, b in pairwise(places)]) == wanted


@pytest.mark.parametrize("padding", [None, "aB3"])
def test_a_usual_stream_is_read_by_comparing(monkeypatch: pytest.MonkeyPatch, padding: str | None) -> None:
    decoded = []
    read = stream_in._read
    monkeypatch.setattr(stream_in, "_read", lambda data: decoded.append(data) or read(data))
    words = ["Hello", " world", "!", " Grüße", " 語", "."]
    stream = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": word}, padding=padding) for word in words)]
    frames, fault = fed([*stream, chunk({}, finish="stop"), b"data: [DONE]\n\n"])
    assert fault is None
    assert [event.text for frame in frames for event in frame.events if isinstance(event, TextDelta)] == words
    assert len(decoded) == 3, "the first chunk, the first with text, and the finish"


def test_only_letters_are_padding() -> None:
    known = Alike(b'data: {"content":"', b'","obfuscation":"', b'"}\n\n', 0)
    raw = b'data: {"content":"a","obfuscation":"%b"}\n\n'
    assert known.frames(raw % b"xY9") is not None
    for other in (b'x","content":"b', b"\\u0022", b"x\x00", b"x y"):
        assert known.frames(raw % other) is None, other
