"""Access to Wagtail's images: of visitors by the privacy of collections, of editors by Wagtail's permissions."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.http import HttpRequest
from wagtail.images import get_image_model
from wagtail.models import CollectionViewRestriction
from wagtail.permissions import policy_registry

from ...permissions import EditorPolicy


def visible_images(request: HttpRequest) -> models.QuerySet[Any]:
    """Return the images that a visitor may see: those in no collection whose privacy keeps the visitor out."""
    images: models.QuerySet[Any] = get_image_model()._default_manager.all()
    restrictions = CollectionViewRestriction.objects.select_related("collection").prefetch_related("groups")
    for restriction in restrictions:
        if not restriction.accept_request(request):  # it holds for the collections below, too
            images = images.exclude(collection__path__startswith=restriction.collection.path)
    return images


class ImagePolicy(EditorPolicy):
    """Editors are those to whom Wagtail gives permissions on images, by collection and by who uploaded them."""

    def viewable(self, request: HttpRequest | None) -> models.QuerySet[Any]:
        """Return the images that the user may choose or change."""
        found: models.QuerySet[Any] = self._policy.instances_user_has_any_permission_for(
            _user_of(request), ["choose", "change"]
        )
        return found

    def can_view(self, request: HttpRequest | None) -> bool:
        """Check that the user may choose or change some images."""
        return bool(self._policy.user_has_any_permission(_user_of(request), ["choose", "change"]))

    def can_change(self, request: HttpRequest | None, *items: models.Model) -> bool:
        """Check that the user may change all of these images, or some at all."""
        user = _user_of(request)
        if not items:
            return bool(self._policy.user_has_permission(user, "change"))
        return all(self._policy.user_has_permission_for_instance(user, "change", item) for item in items)

    @property
    def _policy(self) -> Any:
        return policy_registry.get_by_type(self.source.model)


def _user_of(request: HttpRequest | None) -> Any:
    return getattr(request, "user", None) or AnonymousUser()
