"""Kinds of files that django-filer's tests upload."""

from __future__ import annotations

from typing import Any

from django.db import models
from filer.fields.file import FilerFileField
from filer.models import File, Image


class ExtImage(Image):
    class Meta:
        app_label = "extended_app"
        default_manager_name = "objects"


class Video(File):
    @classmethod
    def matches_file_type(cls, iname: str, ifile: Any, mime_type: str) -> bool:
        return mime_type.startswith("video/")

    class Meta:
        app_label = "extended_app"
        default_manager_name = "objects"


class Attachment(models.Model):
    file = FilerFileField(related_name="test_file", on_delete=models.CASCADE)

    class Meta:
        app_label = "extended_app"
