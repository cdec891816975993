"""Widgets: matches of an object as HTML, at once or, from a signed address, when the widget comes near."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.core import signing
from django.db import models
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from .. import conf, registry
from ..search.batch import similar_to_each
from ..search.filters import is_filter_parameter
from ..search.matches import Match, similar_to
from ..search.options import SearchOptions

LAYOUTS = ("grid", "row", "list")

IMAGE_SIZES = {"list": "6rem"}
"""The attribute `sizes` of images by layout, where it is not that of item.html."""

SALT = "similar_images.widget"
"""Salt of the signatures of lazy widgets' addresses, which hold all that the template asked for."""


@dataclass(frozen=True)
class Widget:
    """A list of matches as it is shown.

    Attributes:
        title: its heading.
        layout: "grid"; "row", which scrolls sideways; or "list".
        item_template: template of one match in place of similar_images/item.html.
    """

    title: str = ""
    layout: str = "grid"
    item_template: str = ""

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, not {self.layout!r}.")

    def render(self, item: models.Model, matches: Sequence[Match]) -> SafeString:
        """Return the widget as HTML, empty where there are no matches."""
        is_plain_row = self.layout == "row" and not any(match.url for match in matches)
        context = {
            "object": item,
            "matches": matches,
            "sizes": IMAGE_SIZES.get(self.layout),
            "needs_focus": is_plain_row,
        }
        return render_to_string("similar_images/widget.html", {**asdict(self), **context})

    def render_lazy(self, item: models.Model, options: Mapping[str, Any]) -> SafeString | None:
        """Return the placeholder of a widget that a script loads; None where the project has no pages to load it from.

        Raises:
            TypeError: an option can't be part of an address.
        """
        label = item._meta.label_lower
        try:
            token = dump_widget(self, label, str(item.pk), options)
            lazy_url = reverse("similar_images:widget", args=[token])
            page_url = reverse("similar_images:similar", args=[label, item.pk])
        except NoReverseMatch:
            return None
        context = {**asdict(self), "object": item, "lazy_url": lazy_url, "page_url": page_url}
        return render_to_string("similar_images/widget.html", context)


def find_matches(request: HttpRequest | None, item: models.Model, options: Mapping[str, Any]) -> list[Match]:
    """Return the matches of an object that the visitor may see, by the options of a template tag.

    These are keyword arguments of `similar_to`, and values for the source's filters by their names.
    """
    return similar_to(item, request=request, **_search_arguments(item, options))


def find_matches_of_each(
    request: HttpRequest | None, items: Sequence[models.Model], options: Mapping[str, Any]
) -> dict[Any, Sequence[Match]]:
    """Return the matches of several objects of one model, by model and key, in as many queries as those of one."""
    items = [item for item in items if item.pk is not None]
    if not items:
        return {}
    arguments = _search_arguments(items[0], options)
    checked = SearchOptions.from_arguments("similar_to", {**arguments, "request": request})
    found = zip(items, similar_to_each(items, checked), strict=True)
    return {
        (item.__class__, item.pk): matches if len(matches) >= checked.min_matches else [] for item, matches in found
    }


def _search_arguments(item: models.Model, options: Mapping[str, Any]) -> dict[str, Any]:
    arguments = {"min_similarity": conf.get().min_similarity_on("widget"), **options}
    if options.get("mode") == "copy" and "min_similarity" not in options:
        del arguments["min_similarity"]
    source = registry.find_source(item.__class__, options.get("field"))
    filters = {name: arguments.pop(name) for name in options if is_filter_parameter(source, name)}
    return {**arguments, **({"filters": filters} if filters else {})}


def dump_widget(widget: Widget, label: str, pk: str, options: Mapping[str, Any]) -> str:
    """Return a signed text that holds a widget, the model and key of its object, and the options of its search.

    Raises:
        TypeError: an option is no text or number.
    """
    fields = {name: str(value) for name, value in asdict(widget).items()}
    try:
        return signing.dumps([fields, label, pk, dict(options), get_language()], salt=SALT, compress=True)
    except TypeError as error:
        raise TypeError(f"lazy=True takes options that are texts or numbers alone: {error}") from None


def load_widget(token: str) -> tuple[Widget, str, str, dict[str, Any], str]:
    """Return what `dump_widget` was given, and the language of the page.

    Raises:
        BadSignature: the text was not signed here.
    """
    fields, label, pk, options, language = signing.loads(token, salt=SALT)
    return Widget(**fields), label, pk, options, language
