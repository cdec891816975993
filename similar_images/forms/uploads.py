"""Uploads of images, within bounds."""

from __future__ import annotations

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from .. import conf


def validate_upload_size(image: UploadedFile[bytes]) -> UploadedFile[bytes]:
    """Return the upload, if it is not too large.

    Raises:
        ValidationError: it is.
    """
    limit = conf.get().search_max_bytes
    if image.size and image.size > limit:
        message = _("The file is larger than %(limit)s. Please choose a smaller one.")
        raise forms.ValidationError(message % {"limit": filesizeformat(limit)})
    return image
