"""Uploads of images, within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from .. import conf, visitor_files

OTHER_FIELDS_BYTES = 1_000_000
"""Bytes of a body beside its images, at most."""


class UploadInput(forms.FileInput):
    """Takes a file, or else a text, the token of an upload that is kept."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the file or the text."""
        texts = data.getlist(name) if hasattr(data, "getlist") else [data.get(name)]
        return files.get(name) or next(filter(None, texts), None)  # a browser sends an empty text for no file

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Tell whether there is neither."""
        return name not in files and name not in data


class VisitorUploadField(forms.FileField):
    """An image file that is not too large, or the token of one that is kept; `token` is that of the value.

    Attributes:
        request: that of the visitor, set by the form.
        token: the token that was given, empty for a new file.
    """

    widget = UploadInput
    request: HttpRequest | None = None
    token = ""

    def to_python(self, data: Any) -> UploadedFile[bytes] | None:
        """Return the upload."""
        self.token = data if isinstance(data, str) else ""
        if not self.token:
            upload: Any = super().to_python(data)
            return validate_upload_size(upload) if upload else None
        kept = visitor_files.load_upload(self.token, self.request)
        if kept is None:
            self.token = ""
            raise forms.ValidationError(_("This image has expired. Please choose it again."))
        return kept


def find_body_problem(headers: Mapping[str, Any], uploads: int) -> str:
    """Return a sentence on a body that is too large by its Content-Length, empty if it is not.

    Without that header Django takes the body for empty.

    Args:
        headers: `META` of a request.
        uploads: the number of images that the body may have.
    """
    try:
        length = int(headers.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    limit = conf.get().search_max_bytes
    if length <= uploads * limit + OTHER_FIELDS_BYTES:
        return ""
    return _too_large_message(limit) if uploads else _("The request is too large.")


def _too_large_message(limit: int) -> str:
    return _("The file is larger than %(limit)s. Please choose a smaller one.") % {"limit": filesizeformat(limit)}


def validate_upload_size(image: UploadedFile[bytes]) -> UploadedFile[bytes]:
    """Return the upload, if it is not too large.

    Raises:
        ValidationError: it is.
    """
    limit = conf.get().search_max_bytes
    if image.size and image.size > limit:
        raise forms.ValidationError(_too_large_message(limit))
    return image
