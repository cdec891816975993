"""The page of an image in Wagtail's admin: a side panel with similar images, which can be marked."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import View
from wagtail.admin.ui.components import MediaContainer
from wagtail.admin.ui.side_panels import BaseSidePanel
from wagtail.images import get_image_model
from wagtail.images.views.images import EditView

import similar_images

from ... import conf, marks, registry
from ...imaging.decode import UnreadableImage
from ...imaging.timeouts import SearchTimeout
from ...models import IndexedImage
from ...permissions import EditorPolicy, get_policy
from ...search.matches import Match
from .listing import PARAMETER

PANEL_LIMIT = 12
"""Images in the side panel, at most."""

PANEL_RENDITION = "fill-120x120"
"""Filter of the renditions in the panel."""


class SimilarImagesPanel(BaseSidePanel):
    """Images that are similar to one, of those that the user may choose or change."""

    name = "similar-images"
    title = gettext_lazy("Similar images")
    template_name = "similar_images/wagtail/side_panel.html"
    order = 150

    class SidePanelToggle(BaseSidePanel.SidePanelToggle):
        """The button that opens it."""

        aria_label = gettext_lazy("Toggle similar images")
        icon_name = "image"
        has_counter = False

    def get_context_data(self, parent_context: Any) -> dict[str, Any]:
        """Return the context of the template."""
        context: dict[str, Any] = super().get_context_data(parent_context)
        policy = get_policy(registry.get_source(self.model, "file"))
        matches = self._find_matches()
        can_change = policy.can_change(self.request, self.object)
        return {
            **context,
            "csrf_token": get_token(self.request),  # Wagtail renders panels without their request
            "rows": [(match, can_change and policy.can_change(self.request, match.image_object)) for match in matches],
            "is_indexed": bool(matches) or self._is_indexed(),
            "marked": self._marked(policy) if can_change else [],
            "mark_url": reverse("similar_images_wagtail_mark", args=[self.object.pk]),
            "listing_url": f"{reverse('wagtailimages:index')}?{urlencode({PARAMETER: self.object.pk})}",
        }

    def _find_matches(self) -> list[Match]:
        options = {"limit": PANEL_LIMIT, "fold": False, "min_similarity": conf.get().min_similarity_on("page")}
        try:
            return similar_images.similar_to(
                self.object, request=self.request, for_editors=True, queryset=self._images(), **options
            )
        except (SearchTimeout, UnreadableImage):
            return []

    def _images(self) -> Any:
        return self.model._default_manager.prefetch_renditions(PANEL_RENDITION)

    def _marked(self, policy: EditorPolicy) -> list[Any]:
        """Return the images that were marked as not similar last, of those that the user may see."""
        own = policy.source.object_id(self.object.pk)
        pairs = [(a, b) for a, b, is_alike in marks.marked_pairs(policy.source, of=own) if not is_alike]
        others = [b if a == own else a for a, b in reversed(pairs)]
        found = {str(image.pk): image for image in policy.viewable(self.request).filter(pk__in=others[:PANEL_LIMIT])}
        return [found[pk] for pk in others if pk in found]

    def _is_indexed(self) -> bool:
        records = IndexedImage.objects.for_source(registry.get_source(self.model, "file"))
        return records.indexed().filter(object_id=str(self.object.pk)).exists()


class EditImageView(EditView):
    """The page of an image, with the panel."""

    def get_side_panels(self) -> MediaContainer:
        """Return Wagtail's panels and this one."""
        return MediaContainer([*super().get_side_panels(), SimilarImagesPanel(self.object, self.request)])


class MarkImagesView(View):
    """Marks an image as not similar to another, or takes that back."""

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Mark the pair, and return to the page of the image."""
        source = registry.get_source(get_image_model(), "file")
        policy = get_policy(source)
        objects = policy.viewable(request)
        image, other = (source.get_or_none(objects, str(key)) for key in (pk, request.POST.get("other", "")))
        if image is None or other is None or image == other:
            raise Http404
        if not policy.can_change(request, image, other):
            raise PermissionDenied
        if "undo" in request.POST:
            marks.unmark(image, other, field="file")
            messages.success(request, _("The mark was removed."))
        else:
            marks.mark(image, other, alike=False, field="file", user=request.user)
            messages.success(
                request,
                _("“%(title)s” is no longer shown as similar. You can undo this in the side panel.") % {"title": other},
            )
        target = request.POST.get("next", "")
        if not url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
            target = reverse("wagtailimages:edit", args=[pk])
        return HttpResponseRedirect(target)
