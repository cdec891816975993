"""Uploads in django-filer: a message tells of images that look almost the same, and leads to using one of these."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ... import conf, registry
from ...admin.image_fields import AdminImageField
from ...admin.saved_uploads import MAX_SECONDS, link_images
from ...admin.upload_notice import make_notice
from ...imaging.decode import UnreadableImage
from ...imaging.files import read_stored, sha256_of
from ...models import write_alias
from .access import get_image_model

UPLOAD_VIEW = "filer-ajax_upload"
"""Name of the address that django-filer uploads files to, also from the fields of forms."""

logger = logging.getLogger("similar_images")


class ClipboardAdminMixin(admin.ModelAdmin):
    """Mixed into the admin that takes uploads: once a file is there, and answered with, it is looked up."""

    def get_urls(self) -> list[Any]:
        """Return the host's URL patterns, that of uploads with the lookup behind it."""
        return [self._with_lookup(each) if each.name == UPLOAD_VIEW else each for each in super().get_urls()]

    def _with_lookup(self, pattern: URLPattern) -> URLPattern:
        view: Callable[..., HttpResponse] = pattern.callback

        @wraps(view)
        def upload(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            response = view(request, *args, **kwargs)
            if response.status_code == 200:
                report_known_images(self.admin_site, request, response)
            return response

        return URLPattern(pattern.pattern, upload, pattern.default_args, pattern.name)


def report_known_images(site: Any, request: HttpRequest, response: HttpResponse) -> None:
    """Tell the user which images an upload repeats, on the next page that they see; it never fails.

    Args:
        site: the site of the admin.
        request: the upload.
        response: django-filer's answer, which names the file.
    """
    model = get_image_model()
    try:
        with ExitStack() as stack:  # where the request is one transaction, an error must not break it
            for alias in {router.db_for_write(model), write_alias()}:
                stack.enter_context(transaction.atomic(using=alias))
            image = model._default_manager.filter(pk=json.loads(response.content)["file_id"]).first()
            text = _describe_known_images(site.get_model_admin(model), request, image) if image is not None else ""
    except UnreadableImage:
        return
    except Exception as error:  # whatever the host's admin or storage raises: the file is uploaded
        logger.warning("An image that was uploaded in django-filer was not looked up: %r", error)
        return
    if text:
        messages.warning(request, text)


def _describe_known_images(model_admin: Any, request: HttpRequest, image: Any) -> SafeString | str:
    field = AdminImageField(request, model_admin, registry.get_source(model_admin.model, "file"))
    data = read_stored(image.file, max_bytes=conf.get().max_bytes)
    described = data if len(data) <= conf.get().search_max_bytes else None  # of larger ones, the same file is told
    notice = make_notice(field, described, [image.pk], sha256=sha256_of(data), timeout=MAX_SECONDS)
    if not notice.images:
        return ""
    opts = model_admin.opts
    url = reverse(
        f"admin:{opts.app_label}_{opts.model_name}_use_existing",
        args=[quote(image.pk), quote(notice.images[0].known.object.pk)],
        current_app=model_admin.admin_site.name,
    )
    return format_html('{} <a href="{}">{}</a>', link_images(str(image), notice), url, _("Use the existing one"))
