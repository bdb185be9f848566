import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("llm_gateway", "0093_learner"),
    ]

    operations = [
        migrations.CreateModel(
            name="ExperimentHistory",
            fields=[
                (
                    "experiment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="llm_gateway.experiment",
                    ),
                ),
                ("units", models.JSONField()),
            ],
        ),
    ]
