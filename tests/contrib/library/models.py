"""The media library of the CMS."""

from django.contrib.auth.models import Group
from django.db import models


class Asset(models.Model):
    """An image of a team, public or not."""

    title = models.CharField(max_length=200)
    file = models.ImageField(upload_to="assets/")
    team = models.ForeignKey(Group, models.CASCADE)
    is_public = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.title
