"""Uploads in Wagtail: images that look almost the same join Wagtail's own notice of duplicates."""

from __future__ import annotations

import logging
from typing import Any

from django.db import Error as DatabaseError
from django.http import HttpResponse
from wagtail.images.views.chooser import ImageUploadView
from wagtail.images.views.multiple import AddView

from ... import conf, registry
from ...imaging.decode import UnreadableImage
from ...imaging.files import read_stored
from ...imaging.timeouts import SearchTimeout
from ...permissions import get_policy
from ...search.known_images import PlainImage, find_near_duplicates

logger = logging.getLogger("similar_images")


def find_near_copies(image: Any, request: Any) -> list[Any]:
    """Return the images that look almost the same as one that was just uploaded, best first; never raises for it.

    They are those that the user may choose or change.
    """
    source = registry.get_source(image.__class__, "file")
    objects = get_policy(source).viewable(request)
    try:
        data = read_stored(image.file, max_bytes=conf.get().search_max_bytes)
        return [known.object for known in find_near_duplicates(source, data, (), objects, [image.pk])]
    except (UnreadableImage, PlainImage):
        return []
    except (SearchTimeout, DatabaseError, OSError) as error:
        logger.warning("An image that is uploaded in Wagtail was not looked up: %r", error)
        return []


class AddImagesView(AddView):
    """The page on which images are uploaded, which also tells of images that look almost the same."""

    def get_edit_object_response_data(self) -> dict[str, Any]:
        """Return what Wagtail's script shows of an image that was uploaded."""
        data: dict[str, Any] = super().get_edit_object_response_data()
        if not data["duplicate"] and (copies := find_near_copies(self.object, self.request)):
            data.update(duplicate=True, confirm_duplicate_upload=self.get_confirm_duplicate_upload_response(copies))
        return data


class ChooserUploadView(ImageUploadView):
    """The upload within the chooser, which also offers an image that looks almost the same."""

    def get_chosen_response(self, image: Any) -> HttpResponse:
        """Return the image as chosen, or the question whether one that is there shall be used."""
        return self._ask_for_copy(image) or super().get_chosen_response(image)

    def render_select_format_response(self, image: Any, form: Any) -> HttpResponse:
        """Return the form for the format, or the same question."""
        return self._ask_for_copy(image) or super().render_select_format_response(image, form)

    def _ask_for_copy(self, image: Any) -> HttpResponse | None:
        copies = find_near_copies(image, self.request)
        return self.render_duplicate_found_response(self.request, image, copies[0]) if copies else None
