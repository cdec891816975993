"""The objects that a user may see and change, by the admins of their models on one site."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import ModelAdmin
from django.db import models
from django.http import HttpRequest

from .. import permissions
from ..sources.source import ImageSource


class ObjectAccess:
    """The objects that one user may see and change on an admin site.

    The admin of a model decides on its objects. A model without one, such as that of the photos of a gallery, is
    decided on by its inline, or by the permissions of the model; and its images are seen with their owner alone.
    """

    def __init__(self, site: Any, request: HttpRequest, *admins: Any) -> None:
        """Take the site, and admins and inlines that decide before those on the site do, such as that of a page."""
        self.site = site
        self.request = request
        self._admins = admins

    def admin_of(self, model: type[models.Model]) -> Any:
        """Return the ModelAdmin that decides on objects of a model, or else the inline; None if there is neither."""
        own = [admin for admin in self._admins if admin.model._meta.concrete_model is model._meta.concrete_model]
        found = [admin for admin in own if isinstance(admin, ModelAdmin)]
        if not found and self.site.is_registered(model):
            found = [self.site.get_model_admin(model)]
        children = [admin for admin in self._admins if issubclass(admin.model, model)]
        return next(iter([*found, *children]), None)

    def has_own_admin(self, model: type[models.Model]) -> bool:
        """Tell whether a model has an admin of its own, which decides on its objects whoever owns them."""
        return isinstance(self.admin_of(model), ModelAdmin)

    def decides_by_object(self, model: type[models.Model]) -> bool:
        """Tell whether the admin of a model decides on single objects, as with django-guardian."""
        model_admin = self.admin_of(model)
        actions = ("view", "change", "view_or_change")
        return isinstance(model_admin, ModelAdmin) and decides_by_object(model_admin, *actions)

    def objects(self, model: type[models.Model]) -> models.QuerySet[Any]:
        """Return the objects of a model that its admin lists; where it decides by object, ask of each, too."""
        model_admin = self.admin_of(model)
        nothing: models.QuerySet[Any] = model._base_manager.none()
        if model_admin is None:
            is_allowed = permissions.can_view_model(self.request, model._meta.app_label, model._meta.model_name)
            return model._base_manager.all() if is_allowed else nothing
        if not self.decides_by_object(model) and not model_admin.has_view_or_change_permission(self.request):
            return nothing
        listed: models.QuerySet[Any] = model_admin.get_queryset(self.request)
        return listed

    def images(self, source: ImageSource) -> models.QuerySet[Any]:
        """Return the objects of a source that lists may show to the user."""
        images = self.objects(source.model)
        if source.ownership is None or self.has_own_admin(source.model):
            return images
        return source.ownership.with_owners(source.as_filterable(images), self.owners(source))

    def lists_all(self, source: ImageSource) -> bool:
        """Tell whether lists may show every image of a source to the user, but for those that have no owner."""
        models_ = [source.model, *(source.ownership.owner_models if source.ownership else [])]
        if any(map(self.decides_by_object, models_)):
            return False
        querysets = [self.objects(source.model)]
        if source.ownership and not self.has_own_admin(source.model):
            querysets += self.owners(source)
        return not any(queryset.query.has_filters() or queryset.query.is_empty() for queryset in querysets)

    def owners(self, source: ImageSource) -> list[models.QuerySet[Any]]:
        """Return the owners of a source's images that lists may show to the user, by model."""
        models_ = source.ownership.owner_models if source.ownership else []
        return [self.objects(model) for model in models_]

    def can_view(self, item: models.Model) -> bool:
        """Return whether the user may see an object."""
        model_admin = self.admin_of(type(item))
        if isinstance(model_admin, ModelAdmin):
            return model_admin.has_view_or_change_permission(self.request, item)
        if model_admin is not None:  # an inline, which decides on all objects alike
            return bool(model_admin.has_view_or_change_permission(self.request))
        return permissions.can_view_model(self.request, item._meta.app_label, item._meta.model_name)

    def can_view_image(self, image: models.Model, owner: models.Model) -> bool:
        """Return whether the user may see an object with an image.

        Args:
            image: the object.
            owner: the object whose image it is, which may be itself.
        """
        if not self.can_view(image):
            return False
        return owner is image or self.has_own_admin(type(image)) or self.can_view(owner)

    def find(self, source: ImageSource, model: type[models.Model], pk: str) -> models.Model | None:
        """Return an object of a source, or an owner of some, that the user may see; None if there is none."""
        item: models.Model | None = source.get_or_none(self.objects(model), pk)
        if item is None or not self.can_view(item):
            return None
        if source.is_owner(item) or self.has_own_admin(type(item)):
            return item
        owner = source.owner_of(item)
        return item if source.contains(self.images(source), item) and self.can_view_image(item, owner) else None

    def can_change(self, items: Iterable[models.Model]) -> bool:
        """Return whether the user may change all of these objects."""
        return all(self._can_change(item) for item in items)

    def can_change_some(self, source: ImageSource) -> bool:
        """Return whether the user may change objects of a source, whichever these are."""
        model_admin = self.admin_of(source.model)
        if model_admin is not None:
            return bool(model_admin.has_change_permission(self.request))
        meta = source.model._meta
        return permissions.can_change_model(self.request, meta.app_label, meta.model_name)

    def _can_change(self, item: models.Model) -> bool:
        model_admin = self.admin_of(type(item))
        if isinstance(model_admin, ModelAdmin):
            return model_admin.has_change_permission(self.request, item)
        if model_admin is not None:
            return bool(model_admin.has_change_permission(self.request))
        return permissions.can_change_model(self.request, item._meta.app_label, item._meta.model_name)


def decides_by_object(model_admin: Any, *actions: str) -> bool:
    """Tell whether an admin decides on single objects, as with django-guardian."""
    return any(
        getattr(type(model_admin), f"has_{action}_permission") is not getattr(ModelAdmin, f"has_{action}_permission")
        for action in actions
    )
