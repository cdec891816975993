"""What is stored: the sources, a record for every image, and the signatures of the records."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField, SparseVectorField

from . import conf, registry
from .vectors import BitsField

if TYPE_CHECKING:
    from .registry import ImageSource


class SourceManager(models.Manager["Source"]):
    """Knows the rows by heart, as the manager of content types does: they never change."""

    _ids: ClassVar[dict[tuple[str, str], int]] = {}

    def id_of(self, source: ImageSource) -> int:
        """The id of a source's row, which is made when it is missing."""
        key = (self.db, source.label)
        if key in self._ids:
            return self._ids[key]
        meta = source.model._meta
        row, _created = self.get_or_create(app_label=meta.app_label, model=meta.model_name, field=source.field_name)
        # Not sooner: the row may be of this transaction, and go with it.
        transaction.on_commit(lambda: self._ids.update({key: row.pk}), using=self.db)
        return row.pk

    def clear_cache(self) -> None:
        self._ids.clear()


class Source(models.Model):
    """One registered image field; its id is what records, signatures and indexes go by."""

    app_label = models.CharField(max_length=100)
    model = models.CharField(max_length=100)
    field = models.CharField(max_length=100)

    objects = SourceManager()

    class Meta:
        verbose_name = _("source")
        verbose_name_plural = _("sources")
        constraints = [
            models.UniqueConstraint(fields=["app_label", "model", "field"], name="similar_images_source_unique")
        ]

    def __str__(self) -> str:
        return f"{self.app_label}.{self.model}.{self.field}"

    @property
    def registered(self) -> ImageSource | None:
        """The source in the code, None when it is no longer registered."""
        try:
            return registry.get(f"{self.app_label}.{self.model}", self.field)
        except registry.NotRegistered:
            return None


class IndexedImageQuerySet(models.QuerySet["IndexedImage"]):
    def of(self, source: ImageSource) -> Self:
        return self.filter(source_id=Source.objects.id_of(source))

    def due(self) -> Self:
        """Pending, not waiting for its next try, and in no worker's hands."""
        now = timezone.now()
        lease_ended = now - timedelta(seconds=conf.get().lease)
        return self.filter(
            Q(retry_at=None) | Q(retry_at__lte=now),
            Q(started_at=None) | Q(started_at__lt=lease_ended),
            status=IndexedImage.Status.PENDING,
        )

    def reset(self) -> int:
        """Make every record pending again; what is known of it stays in service until it is replaced."""
        return self.update(
            status=IndexedImage.Status.PENDING,
            revision=models.Func(function="gen_random_uuid", output_field=models.UUIDField()),
            error="",
            attempts=0,
            requested_at=timezone.now(),
            started_at=None,
            retry_at=None,
        )


class IndexedImage(models.Model):
    """The record of one image of one object, and the outbox row that asks for its indexing."""

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        INDEXED = "indexed", _("indexed")
        FAILED = "failed", _("failed")

    source = models.ForeignKey(Source, models.CASCADE, related_name="records", verbose_name=_("source"))
    object_id = models.CharField(_("object id"), max_length=255)
    object_key = models.BigIntegerField(
        null=True, editable=False, help_text=_("The object id as a number, where it is one, for joins.")
    )
    file_name = models.TextField(_("file name"))
    revision = models.UUIDField(
        default=uuid.uuid4,
        editable=False,
        help_text=_("Changes with every order to index; results of an older order are thrown away."),
    )
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    width = models.PositiveIntegerField(_("width"), null=True)
    height = models.PositiveIntegerField(_("height"), null=True)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.PENDING)
    error = models.TextField(_("error"), blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    requested_at = models.DateTimeField(_("requested"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True)
    retry_at = models.DateTimeField(_("next try"), null=True)
    indexed_at = models.DateTimeField(_("indexed"), null=True)

    objects = IndexedImageQuerySet.as_manager()

    class Meta:
        verbose_name = _("image record")
        verbose_name_plural = _("image records")
        constraints = [models.UniqueConstraint(fields=["source", "object_id"], name="similar_images_record_unique")]
        indexes = [
            models.Index(fields=["source", "object_key"], name="similar_images_record_key"),
            models.Index(fields=["sha256"], condition=~Q(sha256=""), name="similar_images_record_sha256"),
            models.Index(
                F("attempts"),
                F("requested_at").desc(),
                condition=Q(status="pending"),
                name="similar_images_record_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.object_id}"


class Signature(models.Model):
    """What one version of one method saw in one image.

    The value is in one of three columns, by the storage of its method (see vectors.py). None has a fixed
    dimension, so that a method is added without a migration. The database
    itself deletes signatures with their record (see the migration): deleting an object costs one query.
    """

    record = models.ForeignKey(
        IndexedImage, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="signatures"
    )
    source = models.ForeignKey(Source, models.CASCADE, db_index=False, related_name="+")
    method = models.CharField(max_length=64)
    version = models.CharField(max_length=64)
    dense = HalfVectorField(null=True)
    bits = BitsField(null=True)
    sparse = SparseVectorField(null=True)

    class Meta:
        verbose_name = _("signature")
        verbose_name_plural = _("signatures")
        constraints = [
            models.UniqueConstraint(fields=["record", "method", "version"], name="similar_images_signature_unique")
        ]
        indexes = [
            models.Index(fields=["source", "method", "version"], name="similar_images_signature_scan"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.version}"
