from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("llm_gateway", "0060_batches"),
    ]

    operations = [
        migrations.AddField(
            model_name='requestlog',
            name='batch_id',
            field=models.UUIDField(help_text='The batch of which it executed a line.', null=True),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='origin',
            field=models.CharField(help_text='live, batch, shadow, judge or embed; empty in rows of before: live.', max_length=8, null=True),
        ),
    ]
