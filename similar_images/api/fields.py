"""A field for serializers of the project's own: what is similar to an object, as the visitor may see it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from .. import registry
from ..widgets.widget import find_matches
from .presentation import Presentation


class SimilarItemsField(serializers.Field[Any, Any, list[dict[str, Any]], Any]):
    """The matches of an object as a list, each as in the answers of the REST API; empty where there is no image.

    `SimilarItemsField(source="hero", limit=6)` is about the object that is the attribute `hero`, and
    `SimilarItemsField()` about the one that is serialized. One search an object: leave it out of long lists.
    """

    def __init__(self, *, options: dict[str, Any] | None = None, limit: int = 6, **kwargs: Any) -> None:
        """Take how many matches there are at most, and further options of `similar_to` by name."""
        self.options = {"limit": limit, **(options or {})}
        super().__init__(read_only=True, **{"source": "*", **kwargs})

    def to_representation(self, value: Any) -> list[dict[str, Any]]:
        """Return the matches."""
        request = self.context["request"]
        source = registry.find_source(value.__class__, self.options.get("field"))
        return Presentation(request, source).present_matches(find_matches(request, value, self.options))
