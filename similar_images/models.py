"""Database models: sources, a record for every image, its signatures, the versions of methods, and marks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from django.conf import settings
from django.db import connections, models, router, transaction
from django.db.models import F, OuterRef, Q
from django.db.models.functions import Cast, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField, SparseVectorField

from . import conf, registry
from .duplicate_models import DuplicateGroup as DuplicateGroup
from .duplicate_models import DuplicateImage as DuplicateImage
from .duplicate_models import Duplicates as Duplicates
from .duplicate_models import DuplicateScan as DuplicateScan
from .duplicate_models import Merge as Merge
from .duplicate_models import MergedRow as MergedRow
from .duplicate_models import PairVerdict as PairVerdict
from .map_models import Map as Map
from .map_models import MapPoint as MapPoint
from .signatures.storage import BitsField
from .signatures.tightening import MAX_SIMILAR_SHARE

if TYPE_CHECKING:
    from .sources.source import ImageSource


ModelT = TypeVar("ModelT", bound=models.Model)


def write_alias() -> str:
    """Return the alias of the database that holds the records, as the router names it for writing.

    Whoever writes also reads there: a replica, to which a router may send other reads, lags behind.
    """
    return router.db_for_write(IndexedImage)


def current_schema(alias: str | None) -> str:
    """Return the schema of the tenant that a connection is for, empty in projects without (see django-tenants)."""
    return str(getattr(connections[alias or write_alias()], "schema_name", ""))


class PrimaryManager(models.Manager[ModelT]):
    """The manager `primary`, of whoever writes: it also reads from the database that is written to.

    `objects` reads from where a router sends reads, which may be a replica that lags behind.
    """

    def get_queryset(self) -> models.QuerySet[ModelT]:
        """Return the rows in the database that is written to."""
        return super().get_queryset().using(write_alias())


class SourceManager(PrimaryManager["Source"]):
    """Caches row ids per process, like ContentTypeManager: rows of sources never change."""

    _ids: ClassVar[dict[tuple[str, str, type[models.Model], str], int]] = {}
    _schemas: ClassVar[set[tuple[str, str]]] = set()

    def get_id(self, source: ImageSource) -> int:
        """Return the id of a source's row; 0, which no row has, until migrate or the first sweep created the row.

        Never creates it: a unique-key insert in the transaction that saves an object would block other saves until
        that transaction commits. Projects with a schema for every tenant (django-tenants) have other ids in each.
        """
        using = write_alias()
        cache_key = (using, current_schema(using), source.model, source.field_name)
        if cache_key not in self._ids:
            if not self.has_table():
                return 0
            pk = self.filter(**self._natural_key(source)).values_list("pk", flat=True).first()
            if pk is None:
                return 0
            self._ids[cache_key] = pk
        return self._ids[cache_key]

    def has_table(self) -> bool:
        """Tell whether this schema has the tables of the app: of two, one may be for hosts' objects alone."""
        using = write_alias()
        schema = current_schema(using)
        cache_key = (using, schema)
        if cache_key not in self._schemas:
            with connections[using].cursor() as cursor:
                # A tenant's own: keys of objects are unique in a schema alone.
                name = connections[using].ops.quote_name(schema) + "." if schema else ""
                cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name + self.model._meta.db_table])
                if not cursor.fetchone()[0]:
                    return False
            self._schemas.add(cache_key)
        return True

    def create_missing(self, sources: Iterable[ImageSource]) -> None:
        """Create the rows of those sources that have none."""
        for source in sources:
            self.get_or_create(**self._natural_key(source))

    def clear_cache(self) -> None:
        """Forget the cached ids; for tests and after a flush."""
        self._ids.clear()
        self._schemas.clear()

    @staticmethod
    def _natural_key(source: ImageSource) -> dict[str, Any]:
        meta = source.model._meta
        return {"app_label": meta.app_label, "model": meta.model_name, "field": source.field_name}


class Source(models.Model):
    """One registered image field, to whose id records, signatures and indexes refer."""

    app_label = models.CharField(max_length=100)
    model = models.CharField(max_length=100)
    field = models.CharField(max_length=100)
    sweep_began_at = models.DateTimeField(null=True, help_text=_("Time when a sweep last looked at the source."))
    swept_at = models.DateTimeField(
        null=True, help_text=_("Time when a sweep came to the last of the objects; empty until the first did.")
    )
    next_object = models.TextField(blank=True, default="", help_text=_("Key after which the next sweep goes on."))
    next_record = models.BigIntegerField(default=0, help_text=_("Record after which the next sweep goes on."))

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
    def image_source(self) -> ImageSource | None:
        """The registered source, None if it is no longer registered."""
        for source in registry.get_sources():
            meta = source.model._meta
            if (meta.app_label, meta.model_name, source.field_name) == (self.app_label, self.model, self.field):
                return source
        return None


class Health(Source):
    """The sources under the name of the page in the admin, whose address is that of the model."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("health of the index")
        verbose_name_plural = _("health of the index")


WRITE_CHUNK = 200
"""Rows that are locked and written in one transaction, which takes some 20 ms."""


FRESHNESS_SQL = """
SELECT object_id, CASE WHEN EXISTS (
    SELECT 1 FROM similar_images_reindexrequest AS request
    WHERE (request.source_id = record.source_id AND request.object_id = record.object_id)
        OR request.file_name = record.file_name
) THEN 'pending' ELSE status END, indexed_at
FROM similar_images_indexedimage AS record WHERE source_id = %s AND object_id = ANY(%s)
"""
"""Object ids, status and time of records; composed by the ORM, it takes five times as long."""


class IndexedImageQuerySet(models.QuerySet["IndexedImage"]):
    """Queries for image records, and writes to many of them."""

    def for_source(self, source: ImageSource) -> Self:
        """Restrict to the records of a source."""
        return self.filter(source_id=Source.objects.get_id(source))

    def get_status(self, source: ImageSource, *pks: Any) -> str:
        """Return the status of an object's record, or the best of those of several; "missing" where there is none."""
        return self.get_freshness(source, *pks)[0]

    def get_freshness(self, source: ImageSource, *pks: Any) -> tuple[str, datetime | None]:
        """Return the status as `get_status`, and the last time when an image of the objects was indexed, if ever."""
        return self.get_freshness_of_each(source, [pks])[0]

    def get_freshness_of_each(
        self, source: ImageSource, groups: Sequence[Iterable[Any]]
    ) -> list[tuple[str, datetime | None]]:
        """Return what `get_freshness` returns of each group of primary keys, in one query."""
        ids = [[source.object_id(pk) for pk in pks] for pks in groups]
        with connections[self.db].cursor() as cursor:
            every = [object_id for group in ids for object_id in group]
            cursor.execute(FRESHNESS_SQL, [Source.objects.get_id(source), every])
            rows = {object_id: (IndexedImage.Status(status), moment) for object_id, status, moment in cursor}
        return [freshest([rows[object_id] for object_id in group if object_id in rows]) for group in ids]

    def indexed(self) -> Self:
        """Restrict to the records whose image is indexed."""
        return self.filter(status=IndexedImage.Status.INDEXED)

    def for_objects(self, source: ImageSource, *querysets: models.QuerySet[Any]) -> Self:
        """Restrict to the records of objects that are in all of these querysets of the source's model.

        The objects are looked up where the records are, whatever database their queryset names.
        """
        records = self
        for objects in (source.as_filterable(queryset).using(None) for queryset in querysets):
            if source.has_integer_key:
                records = records.filter(object_key__in=objects.values("pk"))
            else:
                keys = objects.annotate(text_key=Cast("pk", models.CharField())).values("text_key")
                records = records.filter(object_id__in=keys)
        return records

    def due(self) -> Self:
        """Restrict to pending records that are neither claimed by a worker nor waiting for their next attempt."""
        now = timezone.now()
        claims_end = now - timedelta(seconds=conf.get().claim_timeout)
        return self.filter(
            Q(retry_at=None) | Q(retry_at__lte=now),
            Q(started_at=None) | Q(started_at__lt=claims_end),
            status=IndexedImage.Status.PENDING,
        )

    def reset(self) -> int:
        """Make every record pending again; its signatures stay searchable until new ones replace them.

        Returns:
            The number of records that were reset; those locked by other transactions are skipped.
        """
        pending = {
            "status": IndexedImage.Status.PENDING,
            "revision": models.Func(function="gen_random_uuid", output_field=models.UUIDField()),
            "error": "",
            "attempts": 0,
            "requested_at": timezone.now(),
            "started_at": None,
            "retry_at": None,
        }
        return self._write_in_chunks(lambda chunk: chunk.update(**pending))

    def remove(self) -> int:
        """Delete every record with its signatures and marks, except those locked by other transactions."""
        return self._write_in_chunks(lambda chunk: chunk.delete()[0])

    def _write_in_chunks(self, write: Callable[[IndexedImageQuerySet], int]) -> int:
        """Write to the records in chunks, each in a transaction of its own, and return the number written to.

        Records that another transaction has locked are skipped, as their object is being saved or a worker writes
        them: waiting for locks while holding others leads to deadlocks.
        """
        count = 0
        using = write_alias()
        remaining = self.using(using).order_by("pk").select_for_update(skip_locked=True, of=("self",), no_key=True)
        while True:
            with transaction.atomic(using=using):
                pks = list(remaining.values_list("pk", flat=True)[:WRITE_CHUNK])
                if not pks:
                    return count
                count += write(IndexedImage.objects.using(using).filter(pk__in=pks))
            remaining = remaining.filter(pk__gt=pks[-1])


def freshest(found: Sequence[tuple[str, datetime | None]]) -> tuple[str, datetime | None]:
    """Return the best status of records, "missing" where there are none, and the last time one was indexed, if ever."""
    status = IndexedImage.Status
    ranks: dict[str, int] = {status.INDEXED: 0, status.PENDING: 1, status.FAILED: 2}
    best = min((value for value, _moment in found), key=ranks.__getitem__, default="missing")
    return best, max((moment for _value, moment in found if moment), default=None)


PrimaryImageManager = PrimaryManager.from_queryset(IndexedImageQuerySet)


def requests_of_record() -> models.QuerySet[ReindexRequest]:
    """Return the requests for the object of a record, for use in a subquery of a query of records."""
    of_object = Q(source=OuterRef("source"), object_id=OuterRef("object_id"))
    return ReindexRequest.objects.filter(of_object | Q(file_name=OuterRef("file_name")))


class Projection(models.Model):
    """A linear map of one version's signatures, learned from labels, pairs or marks, or the mean of all of them.

    Its results are a new version.
    """

    base = models.CharField(_("base version"), max_length=64)
    mean = models.BinaryField(help_text=_("Vector that is subtracted from a signature of the base version (float32)."))
    matrix = models.BinaryField(
        help_text=_("Matrix that the difference is multiplied by (float32, row-major); empty for none.")
    )
    curve = models.JSONField(
        help_text=_("Points (distance, similarity in percent) between which similarities are interpolated.")
    )
    learned_from = models.JSONField(
        help_text=_("Labels, pairs, marks or images from which the projection was learned.")
    )
    figures = models.JSONField(help_text=_("Mean average precision on images that were not used for learning."))
    created = models.DateTimeField(_("created"), default=timezone.now)
    is_enabled = models.BooleanField(_("enabled"), default=False, help_text=_("Use this projection in searches."))

    FROM_ALL_IMAGES = "centering"
    """Key of `learned_from` by which a mean is told from what was learned from labels."""

    objects = models.Manager["Projection"]()
    primary = PrimaryManager["Projection"]()

    class Meta:
        verbose_name = _("projection")
        verbose_name_plural = _("projections")

    def __str__(self) -> str:
        return f"{self.base} {self.created:%Y-%m-%d}"

    @property
    def centered_images(self) -> int:
        """The number of images whose mean is taken off; 0 where it was learned from labels, pairs or marks."""
        return self.learned_from["images"] if self.FROM_ALL_IMAGES in self.learned_from else 0


class MethodVersion(models.Model):
    """One version of a method in one source, with all that a search by its signatures needs (a `MethodSpec`).

    A search uses the active version, whatever the setting has changed to since; see indexing/versions.py.
    """

    source = models.ForeignKey(Source, models.CASCADE, related_name="versions", verbose_name=_("source"))
    name = models.CharField(_("method"), max_length=64)
    version = models.CharField(_("version"), max_length=64)
    storage = models.CharField(max_length=16)
    metric = models.CharField(max_length=16)
    dimensions = models.PositiveIntegerField()
    curve = models.JSONField(
        help_text=_("Points (distance, similarity in percent) between which similarities are interpolated.")
    )
    is_calibrated = models.BooleanField(
        default=False, help_text=_("The curve was measured on the images of this site.")
    )
    measured_images = models.PositiveIntegerField(
        null=True,
        help_text=_("Number of images when a sweep last measured how many pairs are similar; empty where none has."),
    )
    similar_share = models.FloatField(
        null=True,
        help_text=_("Share of the pairs of images that would be at least 70 percent similar by the curve as shipped."),
    )
    method_config = models.JSONField(
        null=True, help_text=_("Key and options in the setting, from which the method can be instantiated again.")
    )
    projection = models.OneToOneField(
        Projection, models.CASCADE, null=True, related_name="version", verbose_name=_("projection")
    )
    is_active = models.BooleanField(default=False)
    is_chosen = models.BooleanField(
        default=False, help_text=_("Chosen by a command in place of the setting's, until the choice is undone.")
    )
    has_index = models.BooleanField(default=False)
    recall = models.FloatField(
        null=True, help_text=_("Share of the ten nearest images that the HNSW index found, as last sampled.")
    )
    recall_sampled_at = models.DateTimeField(null=True)
    backend_cursor = models.BigIntegerField(
        null=True,
        help_text=_("Record up to which the search backend was filled; empty where it has no copy of the signatures."),
    )
    backend_filled_at = models.DateTimeField(null=True)
    backend_attributes = models.JSONField(
        default=list, help_text=_("Columns of the objects whose values the search backend has, too.")
    )
    is_in_backend = models.BooleanField(
        default=False, help_text=_("The search backend is asked for the nearest signatures, and not PostgreSQL.")
    )

    objects = models.Manager["MethodVersion"]()
    primary = PrimaryManager["MethodVersion"]()

    class Meta:
        verbose_name = _("method version")
        verbose_name_plural = _("method versions")
        constraints = [
            models.UniqueConstraint(fields=["source", "name", "version"], name="similar_images_version_unique"),
            models.UniqueConstraint(
                fields=["source", "name"], condition=Q(is_active=True), name="similar_images_version_active"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def similar_percent(self) -> float:
        """The share of pairs, in percent, for which a sweep made the curve stricter; 0 where it did not."""
        share = self.similar_share or 0
        return 100 * share if share > MAX_SIMILAR_SHARE else 0


class IndexedImage(models.Model):
    """The record of one object's image, which is also the outbox row that requests its indexing."""

    class Status(models.TextChoices):
        """The state of a record: waiting for a worker, indexed, or given up with the reason in `error`."""

        PENDING = "pending", _("pending")
        INDEXED = "indexed", _("indexed")
        FAILED = "failed", _("failed")

    source = models.ForeignKey(Source, models.CASCADE, related_name="records", verbose_name=_("source"))
    object_id = models.TextField(_("object ID"))
    object_key = models.BigIntegerField(
        _("numeric object ID"),
        null=True,
        editable=False,
        help_text=_("The object ID as a number, if it is one, for joins."),
    )
    file_name = models.TextField(_("file name"))
    revision = models.UUIDField(
        _("revision"),
        default=uuid.uuid4,
        editable=False,
        help_text=_("Changes with every request to index; results of an older request are discarded."),
    )
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    width = models.PositiveIntegerField(_("width"), null=True)
    height = models.PositiveIntegerField(_("height"), null=True)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.PENDING)
    error = models.TextField(_("error"), blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    requested_at = models.DateTimeField(_("requested"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True)
    retry_at = models.DateTimeField(_("next attempt"), null=True)
    indexed_at = models.DateTimeField(_("indexed"), null=True)

    objects = IndexedImageQuerySet.as_manager()
    primary = PrimaryImageManager()

    class Meta:
        verbose_name = _("image record")
        verbose_name_plural = _("image records")
        constraints = [models.UniqueConstraint(fields=["source", "object_id"], name="similar_images_record_unique")]
        indexes = [
            # A search joins to the objects by this index alone, without reading the records.
            models.Index(
                fields=["source", "object_key"], include=["id", "object_id"], name="similar_images_record_key"
            ),
            models.Index(fields=["file_name"], name="similar_images_record_file"),
            models.Index(fields=["sha256"], condition=~Q(sha256=""), name="similar_images_record_sha256"),
            models.Index(
                F("attempts"),
                F("requested_at").desc(),
                condition=Q(status="pending", retry_at=None),
                name="similar_images_record_due",
            ),
            models.Index(
                fields=["retry_at"],
                condition=Q(status="pending", retry_at__isnull=False),
                name="similar_images_record_retry",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.object_id}"


class ReindexRequest(models.Model):
    """A request to look at files anew, where records can't say so by themselves: of an object, or all of a name.

    One by name is written before a file is overwritten under it, in a transaction of its own, as storages know no
    rollback. It is of no object, as other objects may have the file, too, and outlive the one that is saved. One of an
    object is written where a host's transaction can't write the record. Rows are only ever inserted, so that no host's
    transaction conflicts with a worker. The objects are in no search until a worker has taken the request.
    """

    source = models.ForeignKey(
        Source,
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name=_("source"),
    )
    object_id = models.TextField(_("object ID"), blank=True, db_default="")
    file_name = models.TextField(_("file name"), blank=True, db_default="")
    due_at = models.DateTimeField(
        db_index=True, help_text=_("Time from which a worker takes the request: not while the file is being written.")
    )

    objects = models.Manager["ReindexRequest"]()
    primary = PrimaryManager["ReindexRequest"]()

    class Meta:
        verbose_name = _("reindexing request")
        verbose_name_plural = _("reindexing requests")
        indexes = [models.Index(fields=["source", "object_id"], name="similar_images_request_object")]

    def __str__(self) -> str:
        return self.file_name or f"{self.source} {self.object_id}"


class Signature(models.Model):
    """The value that one version of one method computed from one image.

    It is in one of three columns, depending on the storage of the method (see signatures/storage.py). None has a
    fixed dimension, so that methods can be added without a migration. The database itself deletes signatures with
    their record (see the migration), so that deleting an object costs one query.
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
        default=False, help_text=_("The method found too little detail in the image to search by it.")
    )

    objects = models.Manager["Signature"]()
    primary = PrimaryManager["Signature"]()

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


class BackendChange(models.Model):
    """A record that the search backend has to be told of: its signature of a version was written or deleted.

    Triggers insert the rows, which are there only while a version has a copy in a backend (see backend_triggers.py).
    Whoever takes one reads what is stored then, so that it makes no difference how often it is done, or in what order.
    """

    record_id = models.BigIntegerField()
    version = models.ForeignKey(MethodVersion, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    changed_at = models.DateTimeField(db_default=Now())

    objects = models.Manager["BackendChange"]()
    primary = PrimaryManager["BackendChange"]()

    class Meta:
        verbose_name = _("change for the search backend")
        verbose_name_plural = _("changes for the search backend")

    def __str__(self) -> str:
        return f"{self.record_id} {self.version_id}"


class Mark(models.Model):
    """An editor's verdict on two images of a source, similar or not, which overrides their signatures.

    A pair is stored once, its ids in the order of their texts. The database itself deletes marks with the record of
    either object, and forgets a deleted user, unless users are in another database (see the migration and marks.py).
    """

    source = models.ForeignKey(Source, models.CASCADE, db_index=False, related_name="+", verbose_name=_("source"))
    first_id = models.TextField(_("first object ID"))
    second_id = models.TextField(_("second object ID"))
    is_alike = models.BooleanField(_("verdict"), choices=[(True, _("similar")), (False, _("not similar"))])
    marked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("editor"),
    )
    marked_at = models.DateTimeField(_("date"), default=timezone.now)

    objects = models.Manager["Mark"]()
    primary = PrimaryManager["Mark"]()

    class Meta:
        verbose_name = _("mark")
        verbose_name_plural = _("marks")
        constraints = [
            models.UniqueConstraint(fields=["source", "first_id", "second_id"], name="similar_images_mark_unique")
        ]
        indexes = [models.Index(fields=["source", "second_id"], name="similar_images_mark_second")]

    def __str__(self) -> str:
        return f"{self.source} {self.first_id}, {self.second_id}"
