"""What hosts and models do their own way: the preset a provider follows, and the operator's facts over it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("llm_gateway", "0021_search_requests")]

    operations = [
        migrations.AddField(
            model_name="provider",
            name="preset",
            field=models.CharField(blank=True, default="", help_text="The known host whose habits apply.", max_length=40),
        ),
        migrations.AddField(
            model_name="provider",
            name="facts",
            field=models.JSONField(blank=True, default=dict, help_text="What this host does its own way, over what its preset says."),
        ),
        migrations.AddField(
            model_name="languagemodel",
            name="facts",
            field=models.JSONField(blank=True, default=dict, help_text="What this model does its own way, over what its provider says."),
        ),
    ]
