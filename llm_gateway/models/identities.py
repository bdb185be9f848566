"""How people sign in beside passwords: whom an identity provider vouches for, second factors, links
of the terminal."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from typing_extensions import override


class ExternalIdentity(models.Model):
    """The person at an identity provider that this account belongs to: ``subject`` is what never
    changes there.

    ``granted``: the roles that the account has from the provider, and no others; they go when its
    claims no longer name them. ``staff_granted``: that it may enter the console at all is the
    provider's word, too.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=300)
    subject = models.CharField(max_length=255)
    granted = models.JSONField(default=list)
    staff_granted = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="identity_of_one_account"),
            models.UniqueConstraint(fields=["user", "issuer"], name="one_identity_per_issuer"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"


class SpentState(models.Model):
    """A sign-in that came back from the provider: it comes back once. ``digest`` of its state; rows
    go after an hour."""

    digest = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["at"], name="spent_state_old")]

    @override
    def __str__(self) -> str:
        return f"came back {self.at:%Y-%m-%d %H:%M}"


class SecondFactor(models.Model):
    """The key that an account's authenticator app has, sealed. ``last_step``: the newest 30 s of
    which a code was taken; none of it or before it is taken again."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="second_factor")
    ciphertext = models.TextField()
    last_step = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=~Q(ciphertext=""), name="second_factor_has_key")]

    @override
    def __str__(self) -> str:
        return f"second factor since {self.created_at:%Y-%m-%d %H:%M}"


class RecoveryCode(models.Model):
    """A way in for whoever lost the app. Only a keyed digest is stored; it opens once."""

    factor = models.ForeignKey(SecondFactor, on_delete=models.CASCADE, related_name="codes")
    digest = models.BinaryField(max_length=32)
    used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["factor", "digest"], name="recovery_code_of_factor")]

    @override
    def __str__(self) -> str:
        return "used" if self.used_at else "unused"


class SignInLink(models.Model):
    """A link that the terminal made for a superuser. Only a keyed digest is stored; it opens once,
    for ten minutes."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    digest = models.BinaryField(max_length=32, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    @override
    def __str__(self) -> str:
        return f"until {self.expires_at:%Y-%m-%d %H:%M}"
