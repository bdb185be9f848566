"""What the console searches requests by."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q

from ._operations import AddIndexWhileWriting


class Migration(migrations.Migration):
    # The tables of the log grow to millions of rows, and requests are written to them all the time.
    atomic = False
    dependencies = [("llm_gateway", "0020_audit_trail")]

    operations = [
        AddIndexWhileWriting(
            model_name="requestlog",
            index=models.Index(condition=~Q(tag=""), fields=["tag", "id"], name="request_of_tag"),
        ),
        AddIndexWhileWriting(
            model_name="attempt",
            index=models.Index(condition=~Q(upstream_request_id=""), fields=["upstream_request_id"], name="attempt_upstream_id"),
        ),
    ]
