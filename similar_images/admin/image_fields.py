"""The image fields on a page of the admin, its own and those of its inlines, and whose images the user may see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.contenttypes.admin import GenericInlineModelAdmin
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.models import _get_foreign_key
from django.http import HttpRequest

from .. import registry
from ..sources.owners import Ownership
from ..sources.source import ImageSource
from .links import admin_page_url


@dataclass(frozen=True)
class AdminImageField:
    """An image field on the page of an object in the admin.

    Attributes:
        request: that of the user.
        model_admin: the admin of the page.
        source: the source that the field is.
        inline: the inline that has the field; None where the page's own form has it.
    """

    request: HttpRequest
    model_admin: Any
    source: ImageSource
    inline: Any = None

    @property
    def model(self) -> type[models.Model]:
        """The model of the objects that the field belongs to."""
        model: type[models.Model] = (self.inline or self.model_admin).model
        return model

    @property
    def key(self) -> str:
        """The field among those of the page: "app_label.model.field"."""
        return f"{self.model._meta.label_lower}.{self.source.field_name}"

    @property
    def objects(self) -> models.QuerySet[Any]:
        """The objects that the admin lists to the user, on a list of their own or on the pages of their parents."""
        if self._own_admin is not None:
            listed: models.QuerySet[Any] = self._own_admin.get_queryset(self.request)
            return listed
        parents = self.model_admin.get_queryset(self.request)
        inlined = Ownership(self.model, self._parent_name).with_owners(
            self.inline.get_queryset(self.request), [parents]
        )
        return inlined.prefetch_related(self._parent_name)

    @property
    def _own_admin(self) -> Any:
        """The admin that lists the model on this site; None where its objects are on the pages of parents alone."""
        if self.inline is None:
            return self.model_admin
        site = self.model_admin.admin_site
        return site.get_model_admin(self.model) if site.is_registered(self.model) else None

    @property
    def _parent_name(self) -> str:
        """The name of the foreign key, maybe a generic one, that leads to the object of the page."""
        if not isinstance(self.inline, GenericInlineModelAdmin):
            name: str = _get_foreign_key(self.inline.parent_model, self.model, fk_name=self.inline.fk_name).name
            return name
        generic_keys: list[Any] = self.model._meta.private_fields
        names = {getattr(key, "fk_field", ""): key.name for key in generic_keys}
        return str(names[self.inline.ct_fk_field])

    def can_upload(self, page_object: models.Model | None) -> bool:
        """Tell whether the user may save a file in the field, on the page of this object or on that of a new one."""
        page, inline = self.model_admin, self.inline
        if page_object is None:
            is_allowed = page.has_add_permission(self.request)
        else:
            is_allowed = page.has_change_permission(self.request, page_object)
        if is_allowed and inline is not None:
            is_allowed = inline.has_add_permission(self.request, page_object) or inline.has_change_permission(
                self.request, page_object
            )
        return bool(is_allowed)

    def can_view(self, item: Any) -> bool:
        """Tell whether the admin shows one of the objects to the user."""
        if self._own_admin is not None:
            return bool(self._own_admin.has_view_or_change_permission(self.request, item))
        parent = getattr(item, self._parent_name)
        admins = (self.inline, self.model_admin)
        return all(each.has_view_or_change_permission(self.request, parent) for each in admins)

    def own_keys(self, page_object: models.Model | None, item_key: str) -> list[Any]:
        """Return the primary key of the object that the file is chosen for, if it is saved already.

        Args:
            page_object: the object of the page.
            item_key: the key of the row of an inline, as the page has it.
        """
        if self.inline is None:
            return [page_object.pk] if page_object is not None else []
        try:
            return [self.model._meta.pk.to_python(item_key)] if item_key else []
        except ValidationError:
            return []

    def url_of(self, item: Any) -> str:
        """Return the address of the page that shows one of the objects."""
        shown = item if self._own_admin is not None else getattr(item, self._parent_name)
        return admin_page_url(self.model_admin, shown._meta, "change", shown.pk)


def list_image_fields(
    request: HttpRequest, model_admin: Any, page_object: models.Model | None = None
) -> Iterator[AdminImageField]:
    """Yield the image fields on a page of the admin: of this object, or of a new one."""
    for source in registry.get_sources_for_model(model_admin.model):
        yield AdminImageField(request, model_admin, source)
    for inline in model_admin.get_inline_instances(request, page_object):
        for source in registry.get_sources_for_model(inline.model):
            yield AdminImageField(request, model_admin, source, inline)
