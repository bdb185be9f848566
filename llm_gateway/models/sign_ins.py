"""Tries to sign in, counted before a password is looked at. Rows go when they are a day old."""

from __future__ import annotations

from django.db import models
from typing_extensions import override


class SignInTries(models.Model):
    """``key`` is a digest of what is counted: an account at an address, an address, an account. ``until``: no try is taken before."""

    key = models.CharField(max_length=64, unique=True)
    tries = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField()
    until = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["last_at"], name="sign_in_tries_old")]

    @override
    def __str__(self) -> str:
        return f"{self.tries} tries"
