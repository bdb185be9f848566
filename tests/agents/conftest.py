"""Agents are large and come from the network: only who names the mark ``agents`` collects their tests."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.name.startswith("test_") and "agents" not in (config.getoption("markexpr") or ""):
        return True
    return None
