from django.db import migrations, models

from llm_gateway.migrations._operations import AddIndexWhileWriting


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ("llm_gateway", "0061_requests_of_batches"),
    ]

    operations = [
        AddIndexWhileWriting(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('batch_id__isnull', False)), fields=['batch_id', 'id'], name='request_of_batch'),
        ),
    ]
