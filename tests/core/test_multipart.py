"""A multipart body means the same however it is cut."""

from __future__ import annotations

import random

import pytest

from llm_gateway.core.multipart import Multipart, NotMultipart, boundary_of

FILE = bytes(range(256)) * 3 + b"\r\n--B\r\n-- \r\n--Bo\r\n"
BODY = (
    b'preamble\r\n--Bound\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--Bound\r\n'
    b'Content-Disposition: form-data; name="empty"\r\n\r\n\r\n--Bound\r\n'
    b'content-type: application/jsonl\r\nContent-Disposition: form-data; name="file"; filename="a b.jsonl"\r\n\r\n'
    + FILE
    + b"\r\n--Bound--\r\n"
)


def read(pieces: list[bytes]) -> tuple[Multipart, bytes]:
    reader = Multipart(b"Bound")
    return reader, b"".join(part for piece in pieces for part in reader.feed(piece))


def test_every_way_to_cut_a_body_gives_the_same_file_and_fields() -> None:
    draw = random.Random(1)
    for width in (1, 2, 3, 7, 64, len(BODY)):
        reader, file = read([BODY[at : at + width] for at in range(0, len(BODY), width)])
        assert file == FILE
        assert reader.fields == {"purpose": "batch", "empty": ""}
        assert (reader.filename, reader.media_type, reader.done) == ("a b.jsonl", "application/jsonl", True)
    for _ in range(50):
        cuts = sorted(draw.sample(range(1, len(BODY)), 5))
        assert read([BODY[a:b] for a, b in zip([0, *cuts], [*cuts, len(BODY)], strict=True)])[1] == FILE


def test_what_is_no_multipart_body_is_told() -> None:
    assert boundary_of('multipart/form-data; charset=utf-8; boundary="a b"') == b"a b"
    for bad in ("", "application/json", "multipart/form-data"):
        with pytest.raises(NotMultipart):
            boundary_of(bad)
    with pytest.raises(NotMultipart):
        read([b"--Bound\r\n" + b"x" * 70_000])
    with pytest.raises(NotMultipart):
        read([b'--Bound\r\nContent-Disposition: form-data; name="n"\r\n\r\n' + b"x" * 70_000])
    assert not read([BODY[:-12]])[0].done
