"""Filters and search of a map: those of the list that the admin of the shown objects has."""

from __future__ import annotations

from copy import copy
from typing import Any

from django.contrib.admin import ModelAdmin
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IS_FACETS_VAR, IS_POPUP_VAR, TO_FIELD_VAR, IncorrectLookupParameters
from django.contrib.admin.templatetags.admin_list import admin_list_filter
from django.contrib.admin.views.main import ALL_VAR, PAGE_VAR, SEARCH_VAR
from django.db import models

from ..sources.source import ImageSource
from .object_access import ObjectAccess

LIST_PARAMETERS = (PAGE_VAR, ALL_VAR, IS_FACETS_VAR, IS_POPUP_VAR, TO_FIELD_VAR)
"""Parameters of a list that filter nothing: facets would count what the user may not see."""


class WrongFilters(Exception):
    """The parameters are none of the list's."""


def find_list_admin(user_access: ObjectAccess, source: ImageSource) -> Any:
    """Return the admin whose list has the objects that a map shows: the owners, or the images; None if there is none.

    The user may see objects of it.
    """
    owner_models = source.ownership.owner_models if source.ownership else []
    for model in [*(owner_models if len(owner_models) == 1 else []), source.model]:
        model_admin = user_access.admin_of(model)
        if isinstance(model_admin, ModelAdmin) and model_admin.has_view_or_change_permission(user_access.request):
            return model_admin
    return None


class MapFilters:
    """The filters of a request, as the list of `model_admin` has them."""

    def __init__(self, user_access: ObjectAccess, source: ImageSource, model_admin: Any) -> None:
        """Read the parameters of the request.

        Raises:
            WrongFilters: the list does not take them.
        """
        self.access = user_access
        self.source = source
        request: Any = copy(user_access.request)
        parameters = request.GET.copy()
        for name in LIST_PARAMETERS:
            parameters.pop(name, None)
        request.GET = parameters
        self.query = parameters.urlencode()
        try:
            self._changelist = model_admin.get_changelist_instance(request)
        except (IncorrectLookupParameters, DisallowedModelAdminLookup) as error:
            raise WrongFilters from error
        self._changelist.add_facets = False

    def apply(self, images: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return those of the source's objects that the filters leave."""
        if not self.query:
            return images
        left = self._changelist.queryset.order_by()
        images = self.source.as_filterable(images)
        if issubclass(left.model, self.source.model) or self.source.ownership is None:
            return images.filter(pk__in=self.source.as_filterable(left).using(None).values("pk"))
        return self.source.ownership.with_owners(images, [left])

    @property
    def term(self) -> str:
        """The text that is searched for."""
        return str(self._changelist.query)

    @property
    def can_search(self) -> bool:
        """Tell whether the list can be searched."""
        return bool(self._changelist.search_fields)

    def describe(self) -> list[dict[str, Any]]:
        """Return each filter with its title, and its choices as links; or else as the HTML of its own template."""
        described = []
        for spec in self._changelist.filter_specs:
            choices = list(spec.choices(self._changelist))
            is_plain = all({"query_string", "display", "selected"} <= set(choice) for choice in choices)
            html = "" if is_plain else admin_list_filter(self._changelist, spec)
            described.append({"title": spec.title, "choices": choices, "html": html})
        return described

    def hidden_inputs(self) -> list[tuple[str, str]]:
        """Return names and values that a form repeats, so that a search keeps the filters."""
        pairs = ((name, value) for name, values in self.access.request.GET.lists() for value in values)
        return [(name, value) for name, value in pairs if name not in (*LIST_PARAMETERS, SEARCH_VAR)]
