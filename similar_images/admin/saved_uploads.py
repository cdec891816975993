"""Files of a form of the admin that is saved, and the messages about those whose images were there already.

They are read before they are stored, as a storage may move them away.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.files.base import File
from django.db import models, router, transaction
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from .. import conf
from ..models import write_alias
from .image_fields import AdminImageField
from .upload_notice import UploadNotice, make_notice

TOLD_NAME = "similar-images-told"
"""Name of the form fields by which the script says for which inputs the user has been told."""

MAX_SECONDS = 1
"""Seconds that describing an image may take while the answer to a save waits, and each statement."""

MAX_DESCRIBED = 3
"""Files of one form that are described; of further ones, only the same bytes are found."""

MAX_REPORTED = 20
"""Files of one form that are looked up."""

logger = logging.getLogger("similar_images")


@dataclass(frozen=True)
class SavedUpload:
    """A file of a form.

    Attributes:
        field: the field that it is for.
        instance: its object.
        name: its name.
        sha256: hash of its bytes.
        data: its bytes; None where it is not to be described.
        is_told: whether the user has been told about it, before it was saved.
    """

    field: AdminImageField
    instance: models.Model
    name: str
    sha256: str
    data: bytes | None
    is_told: bool


class SavedUploads:
    """The files of one request.

    Attributes:
        is_saved: whether the forms were valid, and all was saved.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._uploads: list[SavedUpload] = []
        self.is_saved = False

    def read(self, field: AdminImageField, form: Any) -> None:
        """Take the file that a valid form has for a field."""
        name = field.source.field_name
        file = form.cleaned_data.get(name) if form.is_bound else None
        if not isinstance(file, File) or isinstance(file, FieldFile) or len(self._uploads) >= MAX_REPORTED:
            return
        if not file.size or file.size > conf.get().max_bytes:  # it will not be indexed either
            return
        is_told = form.add_prefix(name) in self._request.POST.getlist(TOLD_NAME)
        is_small = file.size <= conf.get().search_max_bytes
        is_described = not is_told and is_small and self._described < MAX_DESCRIBED
        digest, data = hashlib.sha256(), bytearray()
        for chunk in file.chunks():
            digest.update(chunk)
            if is_described:
                data += chunk
        file.seek(0)
        sha256, kept = digest.hexdigest(), bytes(data) if is_described else None
        self._uploads.append(SavedUpload(field, form.instance, str(file.name), sha256, kept, is_told))

    @property
    def _described(self) -> int:
        return sum(upload.data is not None for upload in self._uploads)

    def report(self, model_admin: Any) -> None:
        """Tell the user which of the files were there already, after they were saved; it never fails."""
        if not self.is_saved or not self._uploads:
            return
        try:
            with ExitStack() as stack:  # where the request is one transaction, an error must not break it
                for alias in {router.db_for_write(model_admin.model), write_alias()}:
                    stack.enter_context(transaction.atomic(using=alias))
                texts = [*self._list_repeated(), *self._list_known()]
        except Exception as error:  # whatever the host's admin or storage raises: the objects are saved
            logger.warning("Files that were saved in the admin were not looked up: %r", error)
            return
        for text in texts:
            model_admin.message_user(self._request, text, messages.WARNING)

    def _list_repeated(self) -> Iterable[str]:
        """Yield a sentence for each file that the form had more than once."""
        counts = Counter((upload.sha256, upload.field.source) for upload in self._uploads)
        names = {(upload.sha256, upload.field.source): upload.name for upload in self._uploads}
        for key, count in counts.items():
            if count > 1:
                yield _("You added the same image %(count)d times: %(name)s.") % {"count": count, "name": names[key]}

    def _list_known(self) -> Iterable[SafeString]:
        """Yield a sentence for each file that was there already, with links."""
        for upload in (upload for upload in self._uploads if not upload.is_told):
            own = [other.instance.pk for other in self._uploads if other.field.source == upload.field.source]
            notice = make_notice(upload.field, upload.data, own, sha256=upload.sha256, timeout=MAX_SECONDS)
            if notice.images:
                yield link_images(upload.name, notice)


def link_images(name: str, notice: UploadNotice) -> SafeString:
    """Return a notice in one line."""
    links = [
        format_html('<a href="{}">{}</a>', image.url, image.title) if image.url else format_html("{}", image.title)
        for image in notice.images
    ]
    return format_html("{} {} ({})", notice.text, format_html_join(", ", "{}", ((link,) for link in links)), name)
