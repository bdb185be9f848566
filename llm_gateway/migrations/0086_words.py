"""Names of pages as the menu has them. Changes no table."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("llm_gateway", "0085_refusals_kept")]

    operations = [
        migrations.AlterModelOptions(
            name="languagemodel", options={"ordering": ["provider__priority", "position", "name"], "verbose_name": "model"}
        ),
        migrations.AlterModelOptions(name="ledgerentry", options={"ordering": ["-id"], "verbose_name_plural": "ledger"}),
        migrations.AlterModelOptions(name="statement", options={"ordering": ["-month", "team"], "verbose_name": "closed month"}),
        migrations.AlterModelOptions(
            name="strategyactivation",
            options={"ordering": ["-at"], "verbose_name": "switch of strategies", "verbose_name_plural": "switch history"},
        ),
        migrations.AlterField(
            model_name="languagemodel",
            name="auto",
            field=models.BooleanField(default=True, help_text="May be chosen when the caller names no model.", verbose_name="may serve auto"),
        ),
    ]
