"""People on their way in: passwords that somebody else knows, and invitations."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from typing_extensions import override

from llm_gateway.core.roles import ROLES

SUPERUSER = "superuser"
INVITABLE = (*ROLES, SUPERUSER)


class OneTimePassword(models.Model):
    """The account's password was made or set by somebody else. The row goes when its owner chooses another."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="one_time_password")
    set_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()

    @override
    def __str__(self) -> str:
        return f"one-time password since {self.set_at:%Y-%m-%d %H:%M}"


class Invitation(models.Model):
    """A place that waits for a person. The link is not stored, only ``digest`` of what it ends in; a closed row opens nothing.

    open → accepted | withdrawn; past ``expires_at`` it is open in name only, until it is renewed or withdrawn.
    """

    name = models.CharField(max_length=150, help_text="As it is shown in the list of users.")
    email = models.EmailField("e-mail", help_text="They sign in with it.")
    role = models.CharField(max_length=20)
    digest = models.BinaryField(max_length=32, editable=False)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, editable=False, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(editable=False)
    accepted_at = models.DateTimeField(null=True, editable=False)
    withdrawn_at = models.DateTimeField(null=True, editable=False)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, editable=False, related_name="+")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["digest"], name="invitation_digest"),
            models.UniqueConstraint(
                Lower("email"), condition=Q(accepted_at=None, withdrawn_at=None), name="one_open_invitation_per_address"
            ),
            models.CheckConstraint(condition=Q(accepted_at=None) | Q(withdrawn_at=None), name="invitation_closed_once"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="invitation_expires_later"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"

    def state(self, now: datetime | None = None) -> str:
        """open, expired, accepted or withdrawn."""
        if self.accepted_at is not None:
            return "accepted"
        if self.withdrawn_at is not None:
            return "withdrawn"
        return "open" if self.expires_at > (now or timezone.now()) else "expired"
