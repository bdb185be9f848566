from django.db import migrations, models


class Migration(migrations.Migration):
    """Thresholds belong to a limit: a new one is told of anew."""

    dependencies = [("llm_gateway", "0002_audit_run")]

    operations = [
        migrations.RemoveConstraint(model_name="alert", name="alert_once"),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                fields=["budget", "period_id", "kind", "threshold", "limit_nusd"], name="alert_once_per_limit"
            ),
        ),
    ]
