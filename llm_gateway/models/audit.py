"""The audit trail: who did what, when and from where, with values before and after. It holds names, no links: it outlives accounts."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models
from django.utils import timezone
from typing_extensions import override


class AppendOnly(models.QuerySet[Any]):
    """Entries are added. Nothing changes one, and only :meth:`forget_before` takes old ones away."""

    @override
    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("the audit trail is append-only")

    @override
    def delete(self) -> NoReturn:
        raise TypeError("the audit trail is append-only")

    def forget_before(self, moment: Any) -> int:
        """Take away what is past its retention. How many entries went."""
        rows = self.model._base_manager.filter(at__lt=moment)
        return int(models.QuerySet.delete(rows)[0])


class AuditEntry(models.Model):
    """``changes`` maps a field to its values before and after, without secrets. ``actor_id`` is no foreign key: an account that is deleted
    takes nothing with it."""

    at = models.DateTimeField(default=timezone.now, editable=False)
    actor = models.CharField(max_length=150, blank=True, default="")
    actor_id = models.BigIntegerField(null=True)
    via = models.CharField(max_length=12, help_text="console, api, command or system")
    action = models.CharField(max_length=20)
    noun = models.CharField(max_length=60, blank=True, default="")
    object_id = models.CharField(max_length=64, blank=True, default="")
    object_name = models.CharField(max_length=200, blank=True, default="")
    changes = models.JSONField(default=dict)
    detail = models.CharField(max_length=300, blank=True, default="")
    address = models.CharField(max_length=45, blank=True, default="")
    request_id = models.CharField(max_length=40, blank=True, default="")

    objects = AppendOnly.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit trail"
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["noun", "object_id", "id"], name="audit_of_object"),
            models.Index(fields=["actor", "id"], name="audit_of_actor"),
            models.Index(fields=["action", "id"], name="audit_of_action"),
            models.Index(fields=["at"], name="audit_at"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.object_name}".rstrip()

    @override
    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("the audit trail is append-only")
        super().save(*args, **kwargs)

    @override
    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("the audit trail is append-only")
