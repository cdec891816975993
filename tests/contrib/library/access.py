"""Who may see and change which images: visitors, and editors."""

from typing import Any

from django.db import models
from django.http import HttpRequest

from similar_images.permissions import EditorPolicy

from .models import Asset


def visible_assets(request: HttpRequest) -> models.QuerySet[Asset]:
    """Return what a visitor may see; the request of an anonymous one has a user, a session, and a host, too."""
    return Asset.objects.filter(is_public=True)


class AssetPolicy(EditorPolicy):
    """Editors are the members of teams; each changes the images of their own."""

    def viewable(self, request: HttpRequest | None) -> models.QuerySet[Any]:
        """Return the images that the user may see as an editor."""
        return Asset.objects.filter(team__user=request.user) if self.can_view(request) else Asset.objects.none()

    def can_view(self, request: HttpRequest | None) -> bool:
        """Check that the user is an editor."""
        return request is not None and request.user.is_authenticated and request.user.groups.exists()

    def can_change(self, request: HttpRequest | None, *items: models.Model) -> bool:
        """Check that the user may change all of these images."""
        keys = {item.pk for item in items}
        return self.can_view(request) and self.viewable(request).filter(pk__in=keys).count() == len(keys)
