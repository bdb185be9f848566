"""Requests of batches apart from live ones. What was rolled up since the first request of a batch is rolled up anew."""

from datetime import timedelta
from typing import Any

from django.db import migrations, models


def from_the_first_batch_on(apps: Any, schema_editor: Any) -> None:
    log = apps.get_model("llm_gateway", "RequestLog")
    # Through the small index of requests that belong to batches.
    first = log.objects.filter(batch_id__isnull=False).order_by("created_at").values_list("created_at", flat=True).first()
    if first is None:
        return
    # The next whole hour: of the one before, a part may have been purged.
    hour = first.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    apps.get_model("analytics", "RollupState").objects.filter(until__gt=hour).update(until=hour)


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0055_answer_cache"),
        ("llm_gateway", "0093_learner"),
    ]

    operations = [
        migrations.AddField(
            model_name=name,
            name="origin",
            field=models.CharField(default="live", help_text="Who began them: live, batch, shadow, judge or embed.", max_length=8),
        )
        for name in ("dailyrollup", "hourlyrollup")
    ] + [migrations.RunPython(from_the_first_batch_on, migrations.RunPython.noop)]
