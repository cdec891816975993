"""The list of objects similar to one: a filter `?similar_to=<pk>` of changelists, and an action that leads to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.db import models
from django.db.models import IntegerField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.formats import number_format
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from ..search import explain
from ..search.matches import search_among
from ..search.querysets import FoundKeys, FoundValue, QuerysetSearch
from ..sources.source import ImageSource
from .object_access import ObjectAccess
from .page_sources import min_listed_similarity, sources_of

if TYPE_CHECKING:
    MixinBase = admin.ModelAdmin[Any]
    ChangeListBase = ChangeList
else:
    MixinBase = ChangeListBase = object

SIMILAR_TO = "similar_to"
"""Parameter of a changelist: the key of the object that what is listed is similar to."""

MAX_LISTED = 300
"""Objects that the filter leaves, at most: the most similar ones."""

FOUND = "_similar_images_found"
"""Attribute of a request with what the filter found."""


@dataclass(frozen=True, eq=False)
class SimilarObjects:
    """The objects of a list that are similar to one of its model.

    Attributes:
        item: that one; None where there is none that the user may see.
        rows: rank and similarity of each, by its primary key as text.
    """

    item: models.Model | None = None
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def text(self) -> str:
        """The rows as JSON."""
        return json.dumps(self.rows)


def find_similar_objects(user_access: ObjectAccess, listed: models.QuerySet[Any], pk: str) -> SimilarObjects:
    """Find those of the objects of a list that are similar to one, by each of its image fields and galleries.

    Args:
        user_access: the objects that the user may see.
        listed: the objects of the list, of which only those that may be seen are found.
        pk: the primary key of the one.
    """
    sources = sources_of(listed.model)
    item = next((found for source in sources if (found := user_access.find(source, listed.model, pk))), None)
    if item is None:
        return SimilarObjects()
    best: dict[str, float] = {}
    for source in sources:
        for key, similarity in _similarities(user_access, source, item, listed).items():
            best[key] = max(similarity, best.get(key, 0))
    if user_access.decides_by_object(listed.model):
        objects = listed.model._base_manager.filter(pk__in=list(best))
        viewable = {str(found.pk) for found in objects if user_access.can_view(found)}
        best = {key: similarity for key, similarity in best.items() if key in viewable}
    ranked = sorted(best.items(), key=lambda pair: -pair[1])[:MAX_LISTED]
    rows = {key: {"rank": rank, "similarity": similarity} for rank, (key, similarity) in enumerate(ranked)}
    return SimilarObjects(item, rows)


def _similarities(
    user_access: ObjectAccess, source: ImageSource, item: models.Model, listed: models.QuerySet[Any]
) -> dict[str, float]:
    """Return the similarity of objects of a list to one, in percent by key, most similar first."""
    images, owners = user_access.images(source), user_access.owners(source)
    found_images = listed
    is_of_owners = source.is_owner(item)
    if is_of_owners and source.ownership:
        images = source.ownership.with_owners(source.as_filterable(images), owners)
        found_images = source.ownership.with_owners(source.as_filterable(images), [listed])
    search = replace(
        search_among(
            source,
            item,
            images,
            [listed] if is_of_owners else owners,
            limit=MAX_LISTED,
            min_similarity=min_listed_similarity(),
        ),
        allowed=[images, found_images],
    )
    rows = QuerysetSearch(search, finds_owners=is_of_owners).rows
    return {key: row["similarity"] for key, row in rows.items()}


class SimilarToFilter(admin.ListFilter):
    """Filter a list by similarity to one of its objects; it is shown while it is in use."""

    title = pgettext_lazy("filter", "similarity")

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: type[models.Model], model_admin: Any
    ) -> None:
        super().__init__(request, params, model, model_admin)
        self.model_admin = model_admin
        values = params.pop(SIMILAR_TO, None)
        self.value: str | None = values[-1] if isinstance(values, list) else values
        self.found = SimilarObjects()

    def has_output(self) -> bool:
        """Return whether the list is filtered."""
        return self.value is not None

    def expected_parameters(self) -> list[str | None]:
        """Return the parameter of the filter."""
        return [SIMILAR_TO]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return those objects that are similar: none, with a message, where the one is none that may be seen."""
        if self.value is None:
            return queryset
        user_access = ObjectAccess(self.model_admin.admin_site, request, self.model_admin)
        self.found = find_similar_objects(user_access, queryset, self.value)
        setattr(request, FOUND, self.found)
        found: Any = self.found
        return queryset.filter(pk__in=FoundKeys(found)) if found.rows else queryset.none()

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """Yield the choice of all objects, and that of the similar ones."""
        everything = changelist.get_query_string(remove=[SIMILAR_TO])
        yield {"selected": False, "query_string": everything, "display": _("All")}
        yield {"selected": True, "query_string": changelist.get_query_string(), "display": describe_filter(self.found)}


def describe_filter(found: SimilarObjects) -> str:
    """Return in words what a list is filtered by."""
    if found.item is None:
        return explain.unknown_object().text
    return _("Similar to %(title)s") % {"title": found.item}


class SimilarChangeList(ChangeListBase):
    """Orders a list by similarity, unless the user chose another order."""

    def get_ordering(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the order: most similar first."""
        found: Any = getattr(request, FOUND, None)
        if found is None or self.params.get(ORDER_VAR):
            return super().get_ordering(request, queryset)
        return [FoundValue(found, "rank", IntegerField()).asc(), "pk"]


class ChangelistMixin(MixinBase):
    """Filter the list by similarity to one of its objects, which an action chooses."""

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Return the host's filters and, after them, that by similarity, which looks among what they leave."""
        return [*super().get_list_filter(request), *([SimilarToFilter] if sources_of(self.model) else [])]

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the host's columns and, where the list is filtered by it, the similarity."""
        columns = super().get_list_display(request)
        if SIMILAR_TO not in request.GET:
            return columns

        @admin.display(description=gettext_lazy("Similarity"))
        def similarity(obj: models.Model) -> str:
            row = getattr(request, FOUND, SimilarObjects()).rows.get(str(obj.pk))
            return _("%(percent)s%%") % {"percent": number_format(round(row["similarity"]))} if row else ""

        return [*columns, similarity]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the host's class of lists, ordered by similarity where it is filtered by it."""
        base: Any = super().get_changelist(request, **kwargs)
        is_filtered = SIMILAR_TO in request.GET
        return type("SimilarChangeList", (SimilarChangeList, base), {}) if is_filtered else base

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the list; where it is filtered by similarity, say to what, with a link to all objects."""
        response: HttpResponse = super().changelist_view(request, extra_context)
        found: SimilarObjects | None = getattr(request, FOUND, None)
        if found is not None and request.method == "GET" and response.status_code == 200:
            parameters = request.GET.copy()
            del parameters[SIMILAR_TO]
            told = describe_filter(found) if found.rows or not found.item else _("No similar items found.")
            level = messages.INFO if found.item else messages.ERROR
            link = format_html('{} <a href="?{}">{}</a>', told, parameters.urlencode(), _("Show all"))
            messages.add_message(request, level, link)
        return response

    def get_actions(self, request: HttpRequest) -> Any:
        """Return the host's actions and, where it has not switched them off, the one that finds similar objects."""
        actions = super().get_actions(request)
        if self.actions is None or IS_POPUP_VAR in request.GET or not sources_of(self.model):
            return actions
        return {**actions, "find_similar": self.get_action("find_similar")}

    @admin.action(description=gettext_lazy("Find similar"))
    def find_similar(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse | None:
        """Lead to the objects that are similar to the selected one."""
        selected = list(queryset.order_by("pk")[:2])
        if len(selected) != 1:
            self.message_user(request, _("Select one item to find similar ones."), messages.WARNING)
            return None
        return HttpResponseRedirect(f"{request.path}?{urlencode({SIMILAR_TO: str(selected[0].pk)})}")
