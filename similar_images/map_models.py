"""Models of the map: one map a source, and one point of it an image."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Map(models.Model):
    """The map of a source, on which similar images lie near each other, and how it was made.

    Its name is that of the page in the admin, whose address is that of the model.
    """

    source = models.OneToOneField("similar_images.Source", models.CASCADE, related_name="map", verbose_name=_("source"))
    method = models.CharField(_("method"), max_length=64, blank=True)
    version = models.CharField(_("version"), max_length=64, blank=True)
    requested_at = models.DateTimeField(null=True, help_text=_("Time when an update was asked for; empty if done."))
    started_at = models.DateTimeField(null=True, help_text=_("Time when a worker was last busy with an update."))
    laid_out_at = models.DateTimeField(null=True, help_text=_("Time when all points were last laid out."))
    error = models.TextField(_("error"), blank=True)

    objects = models.Manager["Map"]()

    class Meta:
        default_permissions = ()
        verbose_name = _("map of images")
        verbose_name_plural = _("map of images")

    def __str__(self) -> str:
        return str(self.source)


class MapPoint(models.Model):
    """The place of an image on the map of its source, and its thumbnail there.

    The database itself deletes a point with its record (see the migration). It counts only as long as the record has
    the SHA-256 that the point was made of.
    """

    record = models.OneToOneField(
        "similar_images.IndexedImage",
        models.DO_NOTHING,
        db_constraint=False,
        primary_key=True,
        related_name="map_point",
        verbose_name=_("image record"),
    )
    map = models.ForeignKey(Map, models.CASCADE, db_index=False, related_name="points", verbose_name=_("map"))
    x = models.FloatField(help_text=_("From 0 at the left to 1 at the right."))
    y = models.FloatField(help_text=_("From 0 at the top to 1 at the bottom."))
    position = models.BigIntegerField(help_text=_("Index along a curve through the whole map, for lists."))
    is_added = models.BooleanField(
        default=False, help_text=_("The point was put beside its nearest neighbor after all others were laid out.")
    )
    sha256 = models.CharField("SHA-256", max_length=64)
    tile = models.BinaryField(null=True, help_text=_("JPEG thumbnail of 64 × 64 pixels; empty until it is made."))

    objects = models.Manager["MapPoint"]()

    class Meta:
        verbose_name = _("point of a map")
        verbose_name_plural = _("points of maps")
        indexes = [models.Index(fields=["map", "position"], name="similar_images_mappoint_list")]

    def __str__(self) -> str:
        return str(self.record_id)
