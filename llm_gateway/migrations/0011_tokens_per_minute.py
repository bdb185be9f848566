from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("llm_gateway", "0010_alerts_per_limit")]

    operations = [
        migrations.AddField(
            model_name="clientkey",
            name="tokens_per_minute",
            field=models.PositiveIntegerField(
                blank=True, help_text="Of prompts and answers together; a request is counted by its estimate until it ends.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="clientkey",
            name="models_allowed",
            field=models.JSONField(blank=True, default=list, help_text="Models, aliases, PROVIDER/ID or patterns; empty: all."),
        ),
    ]
