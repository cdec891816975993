"""Access to Wagtail's images: of visitors by the privacy of collections, of editors by Wagtail's permissions."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from wagtail.models import CollectionViewRestriction, PageViewRestriction
from wagtail.permissions import policy_registry

from ... import registry
from ...permissions import EditorPolicy
from ...sources.source import ImageSource


def image_source() -> ImageSource:
    """Return the source of the site's images, of the model that there was when the site started."""
    from wagtail.images.views.chooser import viewset  # not before models are loaded, one of which may import this

    return registry.get_source(viewset.model, "file")


def visible_images(request: HttpRequest) -> QuerySet[Any]:
    """Return the images that a visitor may see: those in no collection whose privacy keeps the visitor out."""
    images = image_source().model._default_manager.all()
    return _leave_out_private(images, CollectionViewRestriction, "collection", "collection__path", request)


def visible_pages(model: type[Model], request: HttpRequest) -> QuerySet[Any]:
    """Return the pages of a model that are published, and that a visitor may see."""
    return _leave_out_private(model._default_manager.filter(live=True), PageViewRestriction, "page", "path", request)


def _leave_out_private(found: QuerySet[Any], kind: Any, node: str, path: str, request: Any) -> QuerySet[Any]:
    for restriction in kind.objects.select_related(node).prefetch_related("groups"):
        if not restriction.accept_request(request):  # it holds for what is below, too
            found = found.exclude(**{f"{path}__startswith": getattr(restriction, node).path})
    return found


class ImagePolicy(EditorPolicy):
    """Editors are those to whom Wagtail gives permissions: on images by collection and by who uploaded them."""

    def viewable(self, request: HttpRequest | None) -> QuerySet[Any]:
        """Return the objects that the user may choose or change."""
        user = _user_of(request)
        found: QuerySet[Any] = self._policy.instances_user_has_any_permission_for(user, ["choose", "change"])
        return found

    def can_view(self, request: HttpRequest | None) -> bool:
        """Check that the user may choose or change some."""
        return bool(self._policy.user_has_any_permission(_user_of(request), ["choose", "change"]))

    def can_change(self, request: HttpRequest | None, *items: Model) -> bool:
        """Check that the user may change all of these objects, or some at all."""
        user = _user_of(request)
        if not items:
            return bool(self._policy.user_has_permission(user, "change"))
        return all(self._policy.user_has_permission_for_instance(user, "change", item) for item in items)

    @property
    def _policy(self) -> Any:
        return policy_registry.get_by_type(self.source.model)


def _user_of(request: HttpRequest | None) -> Any:
    return getattr(request, "user", None) or AnonymousUser()
