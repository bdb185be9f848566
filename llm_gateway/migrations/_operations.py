"""Operations for tables that are written to while they are migrated."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from typing_extensions import override


class AddIndexWhileWriting(migrations.AddIndex):
    """Builds the index without keeping writers waiting (PostgreSQL: ``CONCURRENTLY``). Its migration needs ``atomic = False``.

    A build that was broken off leaves an invalid index under the name; the next try drops it first.
    """

    @override
    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema_editor.quote_name(self.index.name)}")
            schema_editor.add_index(model, self.index, concurrently=True)
