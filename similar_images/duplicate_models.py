"""Models of the review of duplicates: groups that were found, merges, and the rows that a merge has changed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class DuplicateGroup(models.Model):
    """Images of a source that were found to be one file, copies of one picture, or shots of one series."""

    class Kind(models.TextChoices):
        """The kind of group: the same bytes, copies of one picture with edited ones, or shots of the same thing."""

        EXACT = "exact", _("identical files")
        COPIES = "copies", _("edited copies")
        SERIES = "series", _("series")

    class Status(models.TextChoices):
        """The state of a group: to be reviewed, merged, or not duplicates as an editor says."""

        OPEN = "open", _("to review")
        MERGED = "merged", _("merged")
        DISMISSED = "dismissed", _("not duplicates")

    source = models.ForeignKey(
        "similar_images.Source", models.CASCADE, db_index=False, related_name="+", verbose_name=_("source")
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.OPEN)
    similarity = models.FloatField(
        _("similarity"), help_text=_("Lowest similarity in percent of two images that hold the group together.")
    )
    size = models.PositiveIntegerField(_("images"))
    key = models.CharField(max_length=64, help_text=_("Hash of the kind and the keys of the objects."))
    found_at = models.DateTimeField(_("found"), default=timezone.now)

    objects = models.Manager["DuplicateGroup"]()

    class Meta:
        verbose_name = _("group of duplicates")
        verbose_name_plural = _("groups of duplicates")
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="similar_images_group_unique")]
        indexes = [
            models.Index(fields=["source", "status", "kind", "-similarity", "id"], name="similar_images_group_list")
        ]

    def __str__(self) -> str:
        return f"{self.source_id} {self.kind} {self.pk}"


class Duplicates(DuplicateGroup):
    """The groups under the name of the page in the admin, whose address is that of the model."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("duplicates to review")
        verbose_name_plural = _("duplicates to review")


class DuplicateImage(models.Model):
    """One image of a group, with what was measured of its file when the group was found."""

    group = models.ForeignKey(DuplicateGroup, models.CASCADE, related_name="images", verbose_name=_("group"))
    source = models.ForeignKey("similar_images.Source", models.CASCADE, db_index=False, related_name="+")
    object_id = models.TextField(_("object ID"))
    object_key = models.BigIntegerField(null=True, editable=False)
    file_name = models.TextField(_("file name"))
    sha256 = models.CharField("SHA-256", max_length=64)
    width = models.PositiveIntegerField(_("width"))
    height = models.PositiveIntegerField(_("height"))
    format = models.CharField(_("format"), max_length=16, blank=True)
    bytes = models.BigIntegerField(_("bytes"), null=True)
    sharpness = models.FloatField(_("sharpness"), null=True, help_text=_("Share of fine detail, at one common size."))
    modified_at = models.DateTimeField(_("file date"), null=True)
    equivalence = models.PositiveIntegerField(
        null=True, help_text="Images of a group with the same number differ in size and encoding at most."
    )

    objects = models.Manager["DuplicateImage"]()

    class Meta:
        verbose_name = _("image of a group")
        verbose_name_plural = _("images of groups")
        constraints = [models.UniqueConstraint(fields=["group", "object_id"], name="similar_images_groupimage_unique")]
        indexes = [models.Index(fields=["source", "object_id"], name="similar_images_groupimage_obj")]

    def __str__(self) -> str:
        return self.object_id


class DuplicateScan(models.Model):
    """The search for duplicates in a source, as it was last requested: where it is, and how it ended."""

    class Status(models.TextChoices):
        """The state of the search: requested, under way, done, or ended by an error."""

        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    source = models.OneToOneField("similar_images.Source", models.CASCADE, primary_key=True, related_name="+")
    status = models.CharField(_("status"), max_length=8, choices=Status.choices)
    run = models.UUIDField(null=True, help_text="What the worker that runs it knows it by.")
    percent = models.PositiveSmallIntegerField(default=0, help_text="Share of the images that were looked at.")
    changed_at = models.DateTimeField(default=timezone.now, help_text="Last sign of life.")
    finished_at = models.DateTimeField(_("finished"), null=True, help_text="When a search last came to its end.")
    is_complete = models.BooleanField(default=True, help_text="Whether it left out no image.")

    objects = models.Manager["DuplicateScan"]()

    class Meta:
        verbose_name = _("search for duplicates")
        verbose_name_plural = _("searches for duplicates")

    def __str__(self) -> str:
        return f"{self.source_id} {self.status}"


class PairVerdict(models.Model):
    """The verdict on two files of a source that were compared, kept for the next search for duplicates."""

    source = models.ForeignKey("similar_images.Source", models.CASCADE, db_index=False, related_name="+")
    first = models.CharField(max_length=64, help_text="SHA-256 of the first file.")
    second = models.CharField(max_length=64, help_text="SHA-256 of the second file.")
    verdict = models.JSONField()

    objects = models.Manager["PairVerdict"]()

    class Meta:
        verbose_name = _("verdict on two files")
        verbose_name_plural = _("verdicts on two files")
        constraints = [
            models.UniqueConstraint(fields=["source", "first", "second"], name="similar_images_pairverdict_unique")
        ]

    def __str__(self) -> str:
        return f"{self.first[:8]} {self.second[:8]}"


class Merge(models.Model):
    """A merge: references to some objects were changed to refer to one that was kept.

    The database itself forgets a deleted user, unless users are in another database (see the migration and marks.py).
    """

    source = models.ForeignKey("similar_images.Source", models.CASCADE, related_name="+", verbose_name=_("source"))
    kept_id = models.TextField(_("kept object"))
    merged_ids = models.JSONField(_("merged objects"))
    is_removal = models.BooleanField(
        _("removed"), help_text=_("The merged objects were removed; their files were not.")
    )
    group = models.ForeignKey(DuplicateGroup, models.SET_NULL, null=True, related_name="merges")
    merged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("editor"),
    )
    merged_at = models.DateTimeField(_("date"), default=timezone.now, db_index=True)
    undone_at = models.DateTimeField(_("undone"), null=True)

    objects = models.Manager["Merge"]()

    class Meta:
        verbose_name = _("merge")
        verbose_name_plural = _("merges")

    def __str__(self) -> str:
        return f"{self.kept_id} ← {', '.join(self.merged_ids)}"


class MergedRow(models.Model):
    """A row that a merge has changed or deleted, with its former values as PostgreSQL writes them in text."""

    class Kind(models.TextChoices):
        """The kind of change: now refers to the kept object, was emptied by `on_delete`, or was deleted."""

        MOVED = "moved", _("now refers to the kept item")
        CLEARED = "cleared", _("refers to nothing")
        DELETED = "deleted", _("deleted")

    merge = models.ForeignKey(Merge, models.CASCADE, related_name="rows", verbose_name=_("merge"))
    kind = models.CharField(max_length=8, choices=Kind.choices)
    model = models.CharField(max_length=200, help_text=_("Model of the row, as app.Model."))
    field = models.CharField(max_length=200, blank=True, help_text=_("Field that was changed; empty of deleted rows."))
    key = models.JSONField(help_text=_("Columns of the primary key after the change."))
    before = models.JSONField(help_text=_("Values of the changed columns before; of a deleted row, of all columns."))
    after = models.JSONField(help_text=_("Values of the changed columns after; empty of a deleted row."))

    objects = models.Manager["MergedRow"]()

    class Meta:
        verbose_name = _("changed row")
        verbose_name_plural = _("changed rows")
        constraints = [
            models.CheckConstraint(condition=Q(kind="deleted") | ~Q(field=""), name="similar_images_mergedrow_field")
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.key}"

    @property
    def former_key(self) -> dict[str, Any]:
        """The columns of the primary key before the change."""
        before = self.before or {}
        return {column: before.get(column, value) for column, value in self.key.items()}
