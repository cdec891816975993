"""The side panel of an image, a snippet, or another object with a picture: what is similar, which can be marked."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from wagtail.admin.admin_url_finder import AdminURLFinder
from wagtail.admin.ui.components import MediaContainer
from wagtail.admin.ui.side_panels import BaseSidePanel
from wagtail.images import get_image_model
from wagtail.images.views.images import EditView

from ... import marks, registry
from ...models import IndexedImage
from ...permissions import get_policy
from ...search.matches import similar_for_editors

PANEL_LIMIT = 12
"""Images in the side panel, at most."""


class SimilarImagesPanel(BaseSidePanel):
    """Images similar to that of an object, of what the user may choose or change."""

    name = "similar-images"
    title = _("Similar images")
    template_name = "similar_images/wagtail/side_panel.html"
    order = 150

    media = forms.Media(css={"all": ["similar_images/wagtail.css"]})

    class SidePanelToggle(BaseSidePanel.SidePanelToggle):
        """The button that opens it."""

        aria_label = _("Toggle similar images")
        icon_name = "image"
        has_counter = False

    def get_context_data(self, parent_context: Any) -> dict[str, Any]:
        """Return the context of the template."""
        context: dict[str, Any] = super().get_context_data(parent_context)
        source, find_url = registry.find_source(self.model), AdminURLFinder(self.request.user).get_edit_url
        policy, matches = get_policy(source), similar_for_editors(self.object, self.request, PANEL_LIMIT)
        can_change = policy.can_change(self.request, self.object)
        rows = [
            (match, find_url(match.object), can_change and policy.can_change(self.request, match.object))
            for match in matches
        ]
        different = marks.find_marked_as_different(source, self.object, policy.viewable(self.request), PANEL_LIMIT)
        return {
            **context,
            "csrf_token": get_token(self.request),  # Wagtail renders panels without their request
            "rows": rows,
            "is_indexed": matches or IndexedImage.objects.get_status(source, self.object.pk) == "indexed",
            "marked": [(other, find_url(other)) for other in different] if can_change else [],
            "mark_url": reverse("similar_images_wagtail_mark", args=[self.model._meta.label_lower, self.object.pk]),
            "next_url": self.request.get_full_path(),
            "is_image": issubclass(self.model, get_image_model()),
        }


class SimilarImagesPanelMixin:
    """Gives the panel to the edit view of a viewset of snippets or models, or to that of images."""

    object: Any
    request: HttpRequest

    def get_side_panels(self) -> MediaContainer:
        """Return Wagtail's panels and this one."""
        panels: Any = super().get_side_panels()  # type: ignore[misc]  # of the view that this is mixed into
        is_source = any(registry.get_sources_for_model(type(self.object)))
        return MediaContainer([*panels, *([SimilarImagesPanel(self.object, self.request)] if is_source else [])])


class EditImageView(SimilarImagesPanelMixin, EditView):
    """The page of an image, with the panel."""
