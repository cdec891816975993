"""The content of the plug-in."""

from __future__ import annotations

from cms.models.pluginmodel import CMSPlugin
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from filer.fields.image import FilerImageField

MAX_PLUGIN_IMAGES = 24
"""Images that a plug-in shows, at most."""


class SimilarImages(CMSPlugin):
    """A place on a page that shows images which are similar to one."""

    title = models.CharField(_("heading"), max_length=200, blank=True)
    image = FilerImageField(
        verbose_name=_("image"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="similar_images_plugins",
        help_text=_("Images that are similar to this one are shown, but not the image itself."),
    )
    limit = models.PositiveSmallIntegerField(
        _("number of images"),
        default=6,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_PLUGIN_IMAGES)],
        help_text=_("At most this many."),
    )

    class Meta:
        verbose_name = _("similar images")
        verbose_name_plural = _("similar images")

    def __str__(self) -> str:
        return self.title or (self.image.label if self.image else "")
