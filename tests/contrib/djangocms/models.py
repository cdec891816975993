"""An image model of the site's own, with a field that must be filled in."""

from django.db import models
from filer.models.abstract import BaseImage


class CustomImage(BaseImage):
    credit = models.CharField(max_length=100)

    class Meta(BaseImage.Meta):
        app_label = "site"
