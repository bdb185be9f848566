from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .bench import Bench


@pytest.fixture
def bench(transactional_db: None, tmp_path: Path) -> Iterator[Bench]:
    """A running journal; at the end the books must balance."""
    found = Bench(tmp_path)
    with found.running():
        yield found
    found.sound()
    found.loop.close()


@pytest.fixture
def still(transactional_db: None, tmp_path: Path) -> Iterator[Bench]:
    """The same without a running thread."""
    found = Bench(tmp_path)
    yield found
    found.sound()
    found.loop.close()
