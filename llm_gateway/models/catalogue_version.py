"""One counter that says whether the catalogue snapshot of a worker is still the truth."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save
from typing_extensions import override

Row_co = TypeVar("Row_co", bound=models.Model, covariant=True)


class CatalogueVersion(models.Model):
    """The single row (id 1). Raised in the same transaction as any change to what a snapshot is built from."""

    value = models.BigIntegerField(default=0)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "catalogue version"

    @override
    def __str__(self) -> str:
        return f"catalogue version {self.value}"

    @classmethod
    def bump(cls) -> None:
        if not cls.objects.filter(pk=1).update(value=models.F("value") + 1):
            cls.objects.get_or_create(pk=1, defaults={"value": 1})

    @classmethod
    def current(cls) -> int:
        return cls.objects.filter(pk=1).values_list("value", flat=True).first() or 0


class CatalogueQuerySet(models.QuerySet[Row_co]):
    """Bulk writes send no signals, so they raise the version themselves."""

    @override
    def update(self, **kwargs: Any) -> int:
        rows = super().update(**kwargs)
        volatile: frozenset[str] = getattr(self.model, "volatile_fields")  # noqa: B009  # every catalogue row has it
        if rows and not volatile.issuperset(kwargs):
            CatalogueVersion.bump()
        return rows

    @override
    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[Any]:
        made = super().bulk_create(objs, *args, **kwargs)
        CatalogueVersion.bump()
        return made


class CatalogueModel(models.Model):
    """A row that snapshots are built from. ``volatile_fields``: columns a snapshot does not hold, whose change alone is no news."""

    volatile_fields: frozenset[str] = frozenset()

    objects = CatalogueQuerySet.as_manager()

    class Meta:
        abstract = True


def connect() -> None:
    post_save.connect(_saved, dispatch_uid="catalogue-saved")
    post_delete.connect(_changed, dispatch_uid="catalogue-deleted")
    m2m_changed.connect(_linked, dispatch_uid="catalogue-linked")


def _saved(sender: type[models.Model], update_fields: frozenset[str] | None = None, **_: Any) -> None:
    if issubclass(sender, CatalogueModel) and not (update_fields and sender.volatile_fields.issuperset(update_fields)):
        CatalogueVersion.bump()


def _changed(sender: type[models.Model], **_: Any) -> None:
    if issubclass(sender, CatalogueModel):
        CatalogueVersion.bump()


def _linked(sender: type[models.Model], instance: models.Model, action: str, **_: Any) -> None:
    if action.startswith("post_") and isinstance(instance, CatalogueModel):
        CatalogueVersion.bump()
