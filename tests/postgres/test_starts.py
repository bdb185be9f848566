"""Two starts at once on an empty PostgreSQL: one migrates and fills, the other waits, both serve."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.serving import Served

from .server import Server

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(280)]


def test_two_gateways_started_at_once_on_an_empty_database_both_serve(template: Server, tmp_path: Path) -> None:
    url = template.create("empty")
    both = [Served(tmp_path / name, "--simulate", patience_s=170, DATABASE_URL=url) for name in ("one", "two")]
    for one in both:
        one.folder.mkdir()
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda one: one.__enter__(), both))
        said = "\n".join(one.output for one in both)
        assert "right to create tables" not in said
        assert said.count("Another process is migrating this database; waiting for it") <= 1
        assert template.rows("empty", "SELECT count(*) FROM auth_user") == [(1,)]
        assert template.rows("empty", "SELECT count(*), count(DISTINCT slug) FROM llm_gateway_provider")[0][0] > 0
        # The first client key was made and told once.
        assert sum("cogo_" in one.output for one in both) == 1, said
    finally:
        for one in both:
            one.__exit__(None, None, None)
