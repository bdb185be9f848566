"""What the console finds the requests of one end user by."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q

from ._operations import AddIndexWhileWriting


class Migration(migrations.Migration):
    # The log grows to millions of rows, and requests are written to it all the time.
    atomic = False
    dependencies = [("llm_gateway", "0077_end_users")]

    operations = [
        AddIndexWhileWriting(
            model_name="requestlog",
            index=models.Index(condition=Q(end_user__isnull=False), fields=["end_user", "id"], name="request_of_end_user"),
        ),
    ]
