"""The full square through the running gateway: feature × dialect × wire × {whole, stream}, held to table.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import GatewayServer

from .features import FEATURES, Feature
from .table import DONE_HERE, EMULATED, EXPECTED
from .walking import DIALECTS, WIRES, prepare, walk


@pytest.fixture(scope="module")
def square(gateway_server: GatewayServer) -> Iterator[GatewayServer]:
    """One gateway for all cells; nothing may be open or held at the end."""
    prepare(gateway_server)
    yield gateway_server
    gateway_server.check()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name.replace(" ", "-"))
def test_a_cell_is_what_the_table_says(square: GatewayServer, feature: Feature, dialect: str, wire: str, stream: bool) -> None:
    expected = EXPECTED[feature.name][DIALECTS.index(dialect)][list(WIRES).index(wire)]
    walked = walk(square, feature, dialect, wire, stream)
    if walked.outcome != "done":
        assert expected == ("-" if walked.outcome == "unspeakable" else f"refused {walked.field}")
        return
    assert expected in ("passes", "emulated", "left out")
    assert walked.said is not None
    feature.check(walked.said, dialect)
    kept_back = expected == "left out" or (expected == "emulated" and feature.name in DONE_HERE)
    for words in feature.reaches:
        assert (words in walked.sent[-1]) is not kept_back
    if feature.loop and (dialect, wire) not in feature.unsigned:
        assert feature.signed.get(wire, "") in walked.sent[-1]


def test_the_table_and_the_features_are_the_same() -> None:
    assert list(EXPECTED) == [feature.name for feature in FEATURES]
    emulated = {name for name, rows in EXPECTED.items() if any("emulated" in row for row in rows)}
    assert emulated == set(EMULATED)


def test_the_document_is_current() -> None:
    from .document import FILE, render

    assert FILE.read_text(encoding="utf-8") == render(), "make square-table"
