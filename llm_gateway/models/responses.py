"""Answers of the Responses API that callers come back to by id."""

from __future__ import annotations

from django.db import models
from typing_extensions import override

from .access import ClientKey, Team


class StoredResponse(models.Model):
    """One answer with the conversation that led to it, encrypted; kept for the key that asked, until it expires or is deleted."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+", db_index=False)
    client_key = models.ForeignKey(ClientKey, on_delete=models.CASCADE, related_name="+", db_index=False)
    response_id = models.CharField(max_length=200)
    request_id = models.UUIDField(null=True, db_index=True, help_text="The request that was answered with it.")
    credential_id = models.BigIntegerField(null=True, help_text="The provider key whose provider keeps this answer, too.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ciphertext = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client_key", "response_id"], name="stored_response_id")]
        indexes = [models.Index(fields=["expires_at"], name="stored_response_expires")]

    @override
    def __str__(self) -> str:
        return self.response_id

    @override
    def __repr__(self) -> str:
        return f"<StoredResponse {self.pk}>"
