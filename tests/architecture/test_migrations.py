"""What a migration may do to tables that requests are written to while it runs."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from django.db import migrations

from llm_gateway import migrations as folder
from llm_gateway.migrations._operations import AddIndexWhileWriting

WRITTEN_ALL_THE_TIME = {"requestlog", "requestbody", "attempt", "ledgerentry"}
LATER = sorted(one.name for one in pkgutil.iter_modules(folder.__path__) if not one.name.startswith("_") and one.name > "0001_initial")


@pytest.mark.parametrize("name", LATER)
def test_indexes_of_busy_tables_are_built_while_rows_are_written(name: str) -> None:
    migration = importlib.import_module(f"{folder.__name__}.{name}").Migration
    for operation in migration.operations:
        if isinstance(operation, migrations.AddIndex) and operation.model_name in WRITTEN_ALL_THE_TIME:
            assert isinstance(operation, AddIndexWhileWriting), f"{name}: {operation.describe()}"
            assert not migration.atomic
