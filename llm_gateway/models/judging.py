"""What another model says of sampled answers: who is asked, what waits to be judged, and what was said."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from typing_extensions import override

from .access import ClientKey, Team
from .catalogue_version import CatalogueModel
from .money import Budget
from .providers import Alias, LanguageModel


class JudgeRule(CatalogueModel):
    """Of which team's answers a share is judged, by which model, and whose budget pays: that of a client key of the same team, for its
    requests and answers are what the judge reads."""

    team = models.OneToOneField(Team, on_delete=models.CASCADE, related_name="judge_rule")
    share = models.PositiveSmallIntegerField(
        "share of answers",
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Percent. Each costs two requests.",
    )
    model = models.CharField("judge", max_length=200, help_text="A model or alias. Answers of its own provider are not judged.")
    client_key = models.ForeignKey(
        ClientKey, on_delete=models.CASCADE, related_name="+", help_text="A key of the team with a hard budget of its own: it pays."
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        verbose_name = "judge rule"
        constraints = [models.CheckConstraint(condition=Q(share__gte=1, share__lte=100), name="judge_rule_share")]

    @override
    def __str__(self) -> str:
        return f"{self.team.name}, by {self.model}"

    @override
    def clean(self) -> None:
        errors = {}
        if self.client_key_id and self.team_id and self.client_key.team_id != self.team_id:
            errors["client_key"] = "The key has to be of the same team: the judge reads what its callers asked."
        elif self.client_key_id and not pays(self.client_key_id):
            errors["client_key"] = "Give this key a hard budget of its own first, so that judging can never cost more."
        name = self.model.strip()
        if name in ("", "auto") or name.startswith("strategy:"):
            errors["model"] = "Name a model or an alias: a strategy may choose another judge every time."
        elif not (LanguageModel.objects.filter(name=name).exists() or Alias.objects.filter(name=name).exists()):
            errors["model"] = "There is no model or alias of this name."
        if errors:
            raise ValidationError(errors)


def pays(client_key_id: int) -> bool:
    """Whether a key has a hard budget of its own."""
    return Budget.objects.filter(client_key_id=client_key_id, end_user="", provider=None, model=None, hard=True, enabled=True).exists()


class JudgeJob(models.Model):
    """A request and its answer that wait for the judge, encrypted; gone when it has spoken, or after an hour. It is claimed by moving
    ``lease_until``; one that ended its runner twice is not tried again."""

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
        return f"<JudgeJob {self.pk}>"


class Judgement(models.Model):
    """What a version of the judge made of one answer, without words of either. ``findings``: [{rule, message, line?}]; ``answers``: of each
    question the two of both askings. ``first`` and ``second``: the judge's own requests, with what they cost."""

    class State(models.TextChoices):
        JUDGED = "judged"
        DISAGREED = "disagreed", "the two askings differ"
        MANIPULATED = "manipulated", "the answer speaks to its judge"
        UNREADABLE = "unreadable", "the judge answered otherwise"
        SAME_FAMILY = "same_family", "the judge is of the author's provider"
        FAILED = "failed", "the judge could not be asked"

    request_id = models.UUIDField()
    version = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    model = models.ForeignKey(LanguageModel, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False)
    provider_slug = models.CharField(max_length=60, blank=True, default="")
    simulated = models.BooleanField(default=False)
    language = models.CharField(max_length=20, blank=True, default="")
    task_type = models.CharField(max_length=60, blank=True, default="")
    judge = models.CharField(max_length=260, help_text="The provider and model that answered, else what was asked for.")
    state = models.CharField(max_length=12, choices=State.choices)
    value = models.FloatField(null=True, help_text="0 to 1; empty: unknown.")
    asked = models.PositiveSmallIntegerField(default=0)
    differed = models.PositiveSmallIntegerField(default=0)
    findings = models.JSONField(default=list)
    answers = models.JSONField(default=dict)
    first = models.UUIDField(null=True)
    second = models.UUIDField(null=True)
    reason = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="judgement_created")]
        constraints = [
            models.UniqueConstraint(fields=["request_id", "version"], name="judgement_once"),
            models.CheckConstraint(
                condition=Q(state="judged", value__gte=0, value__lte=1) | (~Q(state="judged") & Q(value=None)), name="judgement_value"
            ),
            models.CheckConstraint(condition=Q(differed__lte=models.F("asked")), name="judgement_differed"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.request_id}: {self.state}"
