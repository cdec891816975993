"""Uploads in Wagtail: images that look almost the same join Wagtail's own notice of duplicates."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from wagtail.admin import messages
from wagtail.images.views.chooser import ImageUploadView
from wagtail.images.views.images import CreateView
from wagtail.images.views.multiple import AddView

from ...permissions import get_policy
from ...search.known_images import find_known_images
from .access import image_source


def find_near_copies(request: Any, image: Any, file: Any = None) -> list[Any]:
    """Return the images that look almost the same as one that was uploaded, of those that the user may see."""
    source = image_source()
    objects = get_policy(source).viewable(request)
    found = find_known_images(source, file or image.file, objects, [image.pk] if image.pk else [])
    return [known.object for known in found]


class AddImagesView(AddView):
    """The page on which images are uploaded, which also tells of images that look almost the same."""

    def get_edit_object_response_data(self) -> dict[str, Any]:
        """Return what Wagtail's script shows of an image that was uploaded."""
        return self._ask(super().get_edit_object_response_data(), self.object.file)

    def get_edit_upload_response_data(self) -> dict[str, Any]:
        """Return the same of a file that is no image yet, because its form asks for more."""
        return self._ask(super().get_edit_upload_response_data(), self.upload_object.file)

    def _ask(self, data: dict[str, Any], file: Any) -> dict[str, Any]:
        copies = [] if data.get("duplicate") else find_near_copies(self.request, self.object, file)
        question = self.get_confirm_duplicate_upload_response(copies) if copies else ""
        return {**data, "duplicate": True, "confirm_duplicate_upload": question} if copies else data

    def get_confirm_duplicate_upload_response(self, duplicates: Any) -> str:
        """Return the question whether to keep it."""
        if self.object.pk is not None:
            return str(super().get_confirm_duplicate_upload_response(duplicates))
        delete_url = reverse(self.delete_upload_url_name, args=[self.upload_object.pk])
        context = {"existing_image": duplicates[0], "delete_action": delete_url}
        return render_to_string("wagtailimages/images/confirm_duplicate_upload.html", context, self.request)


class AddImageView(CreateView):
    """The page on which one image is added, after which a message tells of an image that looks almost the same."""

    def form_valid(self, form: Any) -> HttpResponse:
        """Save the image, and tell."""
        response: HttpResponse = super().form_valid(form)
        if copies := find_near_copies(self.request, self.object):
            buttons = [
                messages.button(reverse("wagtailimages:edit", args=[copies[0].pk]), _("Show existing image")),
                messages.button(reverse("wagtailimages:delete", args=[self.object.pk]), _("Delete new image")),
            ]
            text = _("“%(title)s” looks almost the same.") % {"title": copies[0].title}
            messages.warning(self.request, text, buttons=buttons)
        return response


class ChooserUploadView(ImageUploadView):
    """The upload within the chooser, which also offers an image that looks almost the same."""

    def get_chosen_response(self, image: Any) -> HttpResponse:
        """Return the image as chosen, or the question whether one that is there shall be used."""
        return self._ask_for_copy(image) or super().get_chosen_response(image)

    def render_select_format_response(self, image: Any, form: Any) -> HttpResponse:
        """Return the form for the format, or the same question."""
        return self._ask_for_copy(image) or super().render_select_format_response(image, form)

    def _ask_for_copy(self, image: Any) -> HttpResponse | None:
        copies = find_near_copies(self.request, image)
        return self.render_duplicate_found_response(self.request, image, copies[0]) if copies else None
