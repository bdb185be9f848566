"""The SSE decoder against a naive reading of the specification, whatever the split."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_gateway.core.sse import HEARTBEAT, EventTooLarge, SseDecoder, SseFrame, encode_event
from tests.support.clock import Stopwatch

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
# U+2028, U+2029, U+0085, vertical tab and form feed end lines for str.splitlines, but not here.
TEXT = st.text(
    st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]) | st.sampled_from("\u2028\u2029\u0085\x0b\x0c\ufeff: "), max_size=12
)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["data: ", "data:", "data: ", "event: ", ": ", ":", "id: ", "retry: ", "data", "other: ", "{"]))
    return (kind + ("" if kind == "data" else draw(TEXT))).encode()


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    out = draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\n"]))
    for event in draw(st.lists(st.lists(lines(), min_size=1, max_size=4), max_size=5)):
        for line in event:
            out += line + draw(LINE_ENDS)
        out += draw(LINE_ENDS) * draw(st.integers(1, 2))
    return out + draw(st.sampled_from([b"", b"data: cut", b": comment", b"\r", b"data: x\r\n"]))


def naive(stream: bytes) -> list[tuple[str | None, bytes]]:
    """Events by the specification, line by line; an unfinished last event counts, as it does for us."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[tuple[str | None, bytes]] = []
    name: str | None = None
    data: list[bytes] = []
    for line in [*text.split(b"\n"), b""]:
        if not line:
            if data:
                events.append((name, b"\n".join(data)))
            name, data = None, []
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode()
    return events


def decode(*chunks: bytes) -> list[SseFrame]:
    decoder = SseDecoder()
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    return frames + decoder.close()


@given(streams())
@settings(max_examples=150, deadline=None)
def test_events_are_those_of_the_specification(stream: bytes) -> None:
    assert [(frame.event, frame.data) for frame in decode(stream) if frame.data is not None] == naive(stream)


@given(streams())
@settings(max_examples=60, deadline=None)
def test_frames_are_the_same_split_at_every_byte_and_fed_byte_by_byte(stream: bytes) -> None:
    whole = decode(stream)
    assert b"".join(frame.raw for frame in whole) == stream
    assert decode(*(stream[at : at + 1] for at in range(len(stream)))) == whole
    for at in range(len(stream)):
        assert decode(stream[:at], stream[at:]) == whole


def test_a_line_separator_inside_the_text_does_not_end_the_line() -> None:
    data = '{"content":"a\u2028b\u2029c\u0085d\x0be"}'.encode()
    assert [frame.data for frame in decode(b"data: " + data + b"\n\n")] == [data]


def test_comments_have_no_data_and_keep_their_bytes() -> None:
    frames = decode(b": OPENROUTER PROCESSING\n\ndata: 1\n\n" + HEARTBEAT)
    assert [(frame.raw, frame.data) for frame in frames] == [
        (b": OPENROUTER PROCESSING\n\n", None),
        (b"data: 1\n\n", b"1"),
        (HEARTBEAT, None),
    ]


def test_a_bare_line_is_kept_as_stray() -> None:
    (frame,) = decode(b'{"error":{"code":503}}\r\n\r\n')
    assert frame.data is None
    assert frame.stray == b'{"error":{"code":503}}'


def test_many_events_in_one_packet_come_out_one_by_one() -> None:
    packet = b"".join(encode_event(b"%d" % n) for n in range(10))
    assert [frame.data for frame in SseDecoder().feed(packet)] == [b"%d" % n for n in range(10)]


def test_an_encoded_event_decodes() -> None:
    (frame,) = decode(encode_event(b"{}", "response.created"))
    assert (frame.event, frame.data) == ("response.created", b"{}")


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_large_event_is_refused_after_the_events_before_it(size: int) -> None:
    stream = b"data: ok\n\ndata: " + b"x" * 100 + b"\n\ndata: never\n\n"
    decoder = SseDecoder(limit=50)
    seen: list[bytes | None] = []

    def feed_all() -> None:
        for at in range(0, len(stream), size):
            seen.extend(frame.data for frame in decoder.feed(stream[at : at + size]))

    with pytest.raises(EventTooLarge):
        feed_all()
    assert seen == [b"ok"]
    with pytest.raises(EventTooLarge):
        decoder.close()


def test_an_event_without_end_that_drips_in_costs_its_length_not_its_square() -> None:
    decoder = SseDecoder()
    watch = Stopwatch()
    decoder.feed(b"data: ")
    for _ in range(8000):
        decoder.feed(b"x" * 100)
    assert watch.took_s < 1
