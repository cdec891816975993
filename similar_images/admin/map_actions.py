"""Actions on images that were selected on a map: the pages that they lead to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import models
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from ..models import Mark
from .changelist import SIMILAR_TO, ChangelistMixin
from .links import admin_page_url, pair_page_url
from .source_map import SourceMap
from .viewable_objects import viewable_images

MAX_SELECTED = 500
"""Images that can be opened as a list, whose address has their keys."""


class SelectionRefused(Exception):
    """The action does not take this selection; the message says what to select."""


class MapActions:
    """The actions on a map: those for which the admin site has a page."""

    def __init__(self, model_admin: Any, source_map: SourceMap) -> None:
        """Take the admin whose site is linked to, and the map."""
        self.model_admin = model_admin
        self.map = source_map
        self.list_admin = source_map.list_admin

    @property
    def names(self) -> list[str]:
        """The names of the actions that there are."""
        actions: Mapping[str, bool] = {
            "list": self.list_admin is not None,
            "compare": bool(self._has_page(self._model, "similar_images", 0) or self._has_page(Mark, "pair", "x:0")),
            "similar": isinstance(self.list_admin, ChangelistMixin),
        }
        return [name for name, is_there in actions.items() if is_there]

    def find_url(self, name: str, record_ids: Sequence[int]) -> str | None:
        """Return the address that an action leads to; None where there is no such action.

        Raises:
            SelectionRefused: it takes another number of images.
        """
        urls: dict[str, Callable[[list[models.Model]], str]] = {
            "list": self._list_url,
            "compare": self._pair_url,
            "similar": self._similar_url,
        }
        return urls[name](self._load_items(record_ids)) if name in self.names else None

    @property
    def _model(self) -> type[models.Model]:
        """The model of what is acted on: the owners of images, or those themselves."""
        return self.list_admin.model if self.list_admin is not None else self.map.source.model

    def _has_page(self, model: type[models.Model], page: str, key: Any) -> str:
        return admin_page_url(self.model_admin, model._meta, page, key)

    def _load_items(self, record_ids: Sequence[int]) -> list[models.Model]:
        """Return what is acted on for some images, as far as the user may see it; each once, in the order of images."""
        source, user_access = self.map.source, self.map.access
        records = self.map.mapped_records.filter(pk__in=list(record_ids[: MAX_SELECTED + 1]))
        object_ids = list(records.values_list("object_id", flat=True))
        images = source.as_filterable(user_access.images(source)).filter(pk__in=object_ids)
        pairs = viewable_images(user_access, source, images)
        items = {source.object_id(image.pk): self._item_of(image, owner) for image, owner in pairs}
        found = [items[object_id] for object_id in object_ids if object_id in items]
        return list(dict.fromkeys(found))

    def _item_of(self, image: models.Model, owner: models.Model) -> models.Model:
        return owner if isinstance(owner, self._model) and self.map.access.can_view(owner) else image

    def _list_url(self, items: list[models.Model]) -> str:
        if not items or len(items) > MAX_SELECTED:
            raise SelectionRefused(_("Select between 1 and %(count)d images to list them.") % {"count": MAX_SELECTED})
        meta = self._model._meta
        keys = ",".join(str(item.pk) for item in items if isinstance(item, self._model))
        return f"{admin_page_url(self.model_admin, meta, 'changelist')}?{urlencode({f'{meta.pk.name}__in': keys})}"

    def _pair_url(self, items: list[models.Model]) -> str:
        if len(items) != 2:
            raise SelectionRefused(_("Select images of two items to compare them."))
        return pair_page_url(self.model_admin, self.map.source, *items)

    def _similar_url(self, items: list[models.Model]) -> str:
        if len(items) != 1:
            raise SelectionRefused(_("Select one item to find similar ones."))
        url = admin_page_url(self.model_admin, self._model._meta, "changelist")
        return f"{url}?{urlencode({SIMILAR_TO: str(items[0].pk)})}"
