from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("llm_gateway", "0076_alert_rules")]

    operations = [
        migrations.AddField(
            model_name="budget",
            name="end_user",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="The pseudonym of one end user of a team or key; empty: all.",
                max_length=32,
            ),
        ),
        migrations.AddField(
            model_name="requestlog",
            name="end_user",
            field=models.CharField(
                help_text="Whom the caller asked for, as a keyed pseudonym; the name itself is in the metadata.", max_length=32, null=True
            ),
        ),
        migrations.AddConstraint(
            model_name="budget",
            constraint=models.CheckConstraint(
                condition=Q(end_user="") | Q(team__isnull=False) | Q(client_key__isnull=False), name="budget_end_user_is_somebodys"
            ),
        ),
    ]
