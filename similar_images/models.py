"""What is stored: the sources, a record for every image, and the signatures of the records."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.db import models, router, transaction
from django.db.models import F, Q
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField, SparseVectorField

from . import conf, registry
from .signatures.base import similarity_from_distance
from .signatures.storage import BitsField

if TYPE_CHECKING:
    from .registry import ImageSource


class SourceManager(models.Manager["Source"]):
    """Knows the rows by heart, as the manager of content types does: they never change."""

    _ids: ClassVar[dict[tuple[str, str], int]] = {}

    def id_of(self, source: ImageSource) -> int:
        """The id of a source's row; 0, which no row has, until `make` was called by migrate or by the first sweep.

        Nobody who saves an object makes the row: until that transaction ended, others who save would have to wait.
        """
        key = (self.db, source.label)
        if key not in self._ids:
            found = self.filter(**self._names(source)).values_list("pk", flat=True).first()
            if found is None:
                return 0
            self._ids[key] = found
        return self._ids[key]

    def make(self, sources: Iterable[ImageSource], using: str | None = None) -> None:
        """Make the rows that are missing."""
        for source in sources:
            self.using(using or self.db).get_or_create(**self._names(source))

    def clear_cache(self) -> None:
        self._ids.clear()

    @staticmethod
    def _names(source: ImageSource) -> dict[str, Any]:
        meta = source.model._meta
        return {"app_label": meta.app_label, "model": meta.model_name, "field": source.field_name}


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
            return registry.get_source(f"{self.app_label}.{self.model}", self.field)
        except registry.NotRegistered:
            return None


WRITE_CHUNK = 200
"""Rows that are locked and written at a time: some 20 ms."""


class IndexedImageQuerySet(models.QuerySet["IndexedImage"]):
    def of(self, source: ImageSource) -> Self:
        return self.filter(source_id=Source.objects.id_of(source))

    def indexed(self) -> Self:
        return self.filter(status=IndexedImage.Status.INDEXED)

    def among(self, source: ImageSource, *querysets: models.QuerySet[Any]) -> Self:
        """Those of the objects of all these querysets, joined by a typed and indexed key where there is one."""
        records = self
        for objects in map(source.plain, querysets):
            if source.has_integer_key:
                records = records.filter(object_key__in=objects.values("pk"))
            else:
                keys = objects.annotate(text_key=Cast("pk", models.CharField())).values("text_key")
                records = records.filter(object_id__in=keys)
        return records

    def due(self) -> Self:
        """Pending, not waiting for its next try, and in no worker's hands."""
        now = timezone.now()
        lease_ended = now - timedelta(seconds=conf.get().claim_timeout)
        return self.filter(
            Q(retry_at=None) | Q(retry_at__lte=now),
            Q(started_at=None) | Q(started_at__lt=lease_ended),
            status=IndexedImage.Status.PENDING,
        )

    def reset(self) -> int:
        """Make every record pending again; what is known of it stays in service until it is replaced."""
        pending = {
            "status": IndexedImage.Status.PENDING,
            "revision": models.Func(function="gen_random_uuid", output_field=models.UUIDField()),
            "error": "",
            "attempts": 0,
            "requested_at": timezone.now(),
            "started_at": None,
            "retry_at": None,
        }
        return self._in_chunks(lambda chunk: chunk.update(**pending))

    def remove(self) -> int:
        """Delete every record, and with them their signatures."""
        return self._in_chunks(lambda chunk: chunk.delete()[0])

    def _in_chunks(self, write: Callable[[IndexedImageQuerySet], int]) -> int:
        """Write to the records some at a time, each time in a transaction of its own; return how many they were.

        Records that another transaction has locked are left out: its object is being saved, or a worker writes.
        Waiting for it while others wait for us is how deadlocks come about.
        """
        count = 0
        using = router.db_for_write(IndexedImage)
        rest = self.using(using).order_by("pk").select_for_update(skip_locked=True, of=("self",))
        while True:
            with transaction.atomic(using=using):
                pks = list(rest.values_list("pk", flat=True)[:WRITE_CHUNK])
                if not pks:
                    return count
                count += write(IndexedImage.objects.using(using).filter(pk__in=pks))
            rest = rest.filter(pk__gt=pks[-1])


class Projection(models.Model):
    """A linear map of one version's signatures, learned from labels or pairs: what it makes is a version of its own."""

    base = models.CharField(_("base version"), max_length=64)
    mean = models.BinaryField(help_text=_("float32: what is subtracted from a signature of the base."))
    matrix = models.BinaryField(help_text=_("float32, row by row: what it is multiplied by then."))
    curve = models.JSONField(help_text=_("Points (distance, similarity in percent)."))
    learned_from = models.JSONField(help_text=_("What it was learned from."))
    figures = models.JSONField(help_text=_("Mean average precision on pictures that it had not seen."))
    created = models.DateTimeField(_("created"), default=timezone.now)
    is_on = models.BooleanField(default=False, help_text=_("Searches are to go by it."))

    class Meta:
        verbose_name = _("projection")
        verbose_name_plural = _("projections")

    def __str__(self) -> str:
        return f"{self.base} {self.created:%Y-%m-%d}"


class MethodVersion(models.Model):
    """One version of a method in one source, and what it takes to search by its signatures.

    A search goes by the version that serves, whatever the setting names by now; see versions.py.
    """

    source = models.ForeignKey(Source, models.CASCADE, related_name="versions", verbose_name=_("source"))
    name = models.CharField(_("method"), max_length=64)
    version = models.CharField(_("version"), max_length=64)
    storage = models.CharField(max_length=16)
    metric = models.CharField(max_length=16)
    dimensions = models.PositiveIntegerField()
    curve = models.JSONField(help_text=_("Points (distance, similarity in percent)."))
    is_calibrated = models.BooleanField(default=False, help_text=_("The curve was measured on this site's pictures."))
    method_config = models.JSONField(
        null=True, help_text=_("Key and options in the setting, to make the method again.")
    )
    projection = models.OneToOneField(
        Projection, models.CASCADE, null=True, related_name="version", verbose_name=_("projection")
    )
    is_active = models.BooleanField(default=False)
    has_index = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("version of a method")
        verbose_name_plural = _("versions of methods")
        constraints = [
            models.UniqueConstraint(fields=["source", "name", "version"], name="similar_images_version_unique"),
            models.UniqueConstraint(
                fields=["source", "name"], condition=Q(is_active=True), name="similar_images_version_active"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def similarity(self, distance: float) -> float:
        """Map a distance to percent."""
        return similarity_from_distance(self.curve, distance)


class IndexedImage(models.Model):
    """The record of one image of one object, and the outbox row that asks for its indexing."""

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        INDEXED = "indexed", _("indexed")
        FAILED = "failed", _("failed")

    source = models.ForeignKey(Source, models.CASCADE, related_name="records", verbose_name=_("source"))
    object_id = models.TextField(_("object id"))
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
            # What a search joins the host's objects by, without a look at the record itself.
            models.Index(
                fields=["source", "object_key"], include=["id", "object_id"], name="similar_images_record_key"
            ),
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
    low_detail = models.BooleanField(
        default=False, help_text=_("The method saw next to nothing in the picture: not searched by it.")
    )

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


class Mark(models.Model):
    """What somebody said of two pictures of a source: alike or not, whatever the signatures say.

    A pair is kept once, its ids in the order of their texts. The database itself deletes marks with the record of
    either object (see the migration).
    """

    source = models.ForeignKey(Source, models.CASCADE, db_index=False, related_name="+", verbose_name=_("source"))
    first_id = models.TextField(_("first object id"))
    second_id = models.TextField(_("second object id"))
    is_alike = models.BooleanField(_("alike"))
    marked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("marked by")
    )
    marked_at = models.DateTimeField(_("marked"), default=timezone.now)

    class Meta:
        verbose_name = _("mark")
        verbose_name_plural = _("marks")
        constraints = [
            models.UniqueConstraint(fields=["source", "first_id", "second_id"], name="similar_images_mark_unique")
        ]
        indexes = [models.Index(fields=["source", "second_id"], name="similar_images_mark_second")]

    def __str__(self) -> str:
        return f"{self.source} {self.first_id}, {self.second_id}"
