"""Refused requests keep what their callers were told, and the budget that refused."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

from ._operations import AddIndexWhileWriting


class Migration(migrations.Migration):
    # The table of the log grows to millions of rows, and requests are written to it all the time.
    atomic = False
    dependencies = [("llm_gateway", "0078_find_end_users")]

    operations = [
        migrations.AddField(
            model_name="requestlog",
            name="error_message",
            field=models.CharField(help_text="What the caller was told.", max_length=600, null=True),
        ),
        migrations.AddField(
            model_name="requestlog",
            name="error_details",
            field=models.JSONField(help_text="The sums and times the caller was told.", null=True),
        ),
        migrations.AddField(
            model_name="requestlog",
            name="refused_by",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="refusals",
                to="llm_gateway.budget",
            ),
        ),
        AddIndexWhileWriting(
            model_name="requestlog",
            index=models.Index(condition=Q(refused_by__isnull=False), fields=["refused_by", "id"], name="request_refused_by"),
        ),
    ]
