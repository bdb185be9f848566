"""What the console searches requests by."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("llm_gateway", "0020_audit_trail")]

    operations = [
        migrations.AddIndex(
            model_name="requestlog",
            index=models.Index(condition=~Q(tag=""), fields=["tag", "id"], name="request_of_tag"),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(condition=~Q(upstream_request_id=""), fields=["upstream_request_id"], name="attempt_upstream_id"),
        ),
    ]
