"""What is said of answers: computed scores, callers' feedback, and the answers that wait to be looked at."""

from __future__ import annotations

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce
from typing_extensions import override

from .access import ClientKey, Team
from .catalogue_version import CatalogueModel
from .providers import LanguageModel


class QualityRule(CatalogueModel):
    """How much of a team's traffic is looked at, and by what. Without a team: of every team that has no rule of its own."""

    team = models.OneToOneField(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="quality_rule")
    share = models.PositiveSmallIntegerField(
        "share of answers",
        default=0,
        validators=[MaxValueValidator(100)],
        help_text="Percent of the answers whose code is looked at in the score worker. The structure of every answer is.",
    )
    lint = models.BooleanField("lint and security", default=False, help_text="Python, with ruff, where `make install-quality` was run.")
    complexity = models.BooleanField(default=False, help_text="With lizard, where `make install-quality` was run.")

    class Meta:
        verbose_name = "quality rule"
        constraints = [
            models.CheckConstraint(condition=Q(share__lte=100), name="quality_rule_share"),
            # At most one row without a team, too: in an index over the column itself, NULLs are distinct.
            models.UniqueConstraint(Coalesce("team", 0), name="quality_rule_for_all"),
        ]

    @override
    def __str__(self) -> str:
        return self.team.name if self.team else "every team"


class AnswerScore(models.Model):
    """What a formula made of one answer. Another formula makes another row; what an older one made stays.

    ``scorers``: [{name, version, value 0 … 1 or null, findings: [{rule, severity, message, line?, block?}]}], without words of the answer.
    """

    request_id = models.UUIDField()
    formula = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    model = models.ForeignKey(LanguageModel, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False)
    provider_slug = models.CharField(max_length=60, blank=True, default="")
    simulated = models.BooleanField(default=False)
    language = models.CharField(max_length=20, blank=True, default="")
    task_type = models.CharField(max_length=60, blank=True, default="")
    score = models.PositiveSmallIntegerField(null=True, help_text="0 to 100; empty: nothing could be said.")
    coded = models.BooleanField(default=False, help_text="The code was looked at, and not the structure alone.")
    scorers = models.JSONField(default=list)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="answer_score_created")]
        constraints = [
            models.UniqueConstraint(fields=["request_id", "formula"], name="answer_score_once"),
            models.CheckConstraint(condition=Q(score=None) | Q(score__lte=100), name="answer_score_range"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.request_id}: {self.score}"


class Feedback(models.Model):
    """What a key said of an answer last."""

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted"
        EDITED = "edited"
        REVERTED = "reverted"
        TESTS_PASSED = "tests_passed"

    request_id = models.UUIDField()
    client_key = models.ForeignKey(ClientKey, on_delete=models.CASCADE, related_name="+", db_index=False)
    score = models.FloatField(help_text="−1 to 1")
    outcome = models.CharField(max_length=12, blank=True, default="", choices=Outcome.choices)
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "feedback"
        constraints = [
            models.UniqueConstraint(fields=["request_id", "client_key"], name="feedback_last_word"),
            models.CheckConstraint(condition=Q(score__gte=-1, score__lte=1), name="feedback_range"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.request_id}: {self.score:+g}"


class ScoreJob(models.Model):
    """An answer that waits for the score worker, encrypted; gone when it is scored, or after an hour.

    It is claimed by moving ``lease_until``; one that ended its worker twice is not tried again."""

    request_id = models.UUIDField(unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+", db_index=False)
    tries = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    ciphertext = models.TextField()

    @override
    def __str__(self) -> str:
        return f"{self.request_id}"

    @override
    def __repr__(self) -> str:
        return f"<ScoreJob {self.pk}>"
