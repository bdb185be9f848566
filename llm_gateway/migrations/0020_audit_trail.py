"""The audit trail, tries to sign in, and the right to spend from the browser. What the console's history knew so far is carried over."""

from __future__ import annotations

from typing import Any

import django.utils.timezone
from django.db import migrations, models

_CARRIED = 2000
_ACTIONS = {1: "added", 2: "changed", 3: "deleted"}


def carry_over(apps: Any, schema_editor: Any) -> None:
    """Entries of Django's own history go with the account of who did it; a copy stays."""
    entries = apps.get_model("admin", "LogEntry").objects.select_related("user", "content_type").order_by("pk")
    trail = apps.get_model("llm_gateway", "AuditEntry")
    made = []
    for entry in entries.iterator(chunk_size=_CARRIED):
        kind = entry.content_type
        made.append(
            trail(
                at=entry.action_time,
                actor=entry.user.username[:150],
                actor_id=entry.user_id,
                via="console",
                action=_ACTIONS.get(entry.action_flag, "changed"),
                noun=f"{kind.app_label}.{kind.model}"[:60] if kind else "",
                object_id=(entry.object_id or "")[:64],
                object_name=entry.object_repr[:200],
                detail="" if entry.change_message.startswith("[") else entry.change_message[:300],
            )
        )
        if len(made) >= _CARRIED:
            trail.objects.bulk_create(made)
            made = []
    trail.objects.bulk_create(made)


def forbid_updates(apps: Any, schema_editor: Any) -> None:
    """The database itself refuses to change an entry."""
    table = "llm_gateway_auditentry"
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(
            f"CREATE TRIGGER audit_entry_stays BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
        )
        return
    schema_editor.execute(
        "CREATE FUNCTION audit_entry_stays() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$"
    )
    schema_editor.execute(
        f"CREATE TRIGGER audit_entry_stays BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION audit_entry_stays()"
    )


def permit_updates(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TRIGGER IF EXISTS audit_entry_stays")
        return
    schema_editor.execute("DROP TRIGGER IF EXISTS audit_entry_stays ON llm_gateway_auditentry")
    schema_editor.execute("DROP FUNCTION IF EXISTS audit_entry_stays()")


class Migration(migrations.Migration):
    dependencies = [
        ("llm_gateway", "0010_alerts_per_limit"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="requestlog",
            options={
                "ordering": ["-id"],
                "permissions": (("spend_from_browser", "Can send requests that cost money from the browser"),),
                "verbose_name": "request",
            },
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("actor", models.CharField(blank=True, default="", max_length=150)),
                ("actor_id", models.BigIntegerField(null=True)),
                ("via", models.CharField(help_text="console, api, command or system", max_length=12)),
                ("action", models.CharField(max_length=20)),
                ("noun", models.CharField(blank=True, default="", max_length=60)),
                ("object_id", models.CharField(blank=True, default="", max_length=64)),
                ("object_name", models.CharField(blank=True, default="", max_length=200)),
                ("changes", models.JSONField(default=dict)),
                ("detail", models.CharField(blank=True, default="", max_length=300)),
                ("address", models.CharField(blank=True, default="", max_length=45)),
                ("request_id", models.CharField(blank=True, default="", max_length=40)),
            ],
            options={
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit trail",
                "ordering": ["-id"],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["noun", "object_id", "id"], name="audit_of_object"),
                    models.Index(fields=["actor", "id"], name="audit_of_actor"),
                    models.Index(fields=["action", "id"], name="audit_of_action"),
                    models.Index(fields=["at"], name="audit_at"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SignInTries",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=64, unique=True)),
                ("tries", models.PositiveIntegerField(default=0)),
                ("last_at", models.DateTimeField()),
                ("until", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["last_at"], name="sign_in_tries_old")],
            },
        ),
        migrations.RunPython(carry_over, migrations.RunPython.noop),
        migrations.RunPython(forbid_updates, permit_updates),
    ]
