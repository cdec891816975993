"""JSON of how two images resemble each other."""

from __future__ import annotations

from typing import Any, get_args

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ...search.resemblance import Resemblance, ResemblanceKind

KIND_HELP = "How the images resemble each other, in a word."
SENTENCE_HELP = "The same in a sentence for people, as sure as its evidence."


@extend_schema_field(
    {
        "type": ["array", "null"],
        "items": {"type": "number", "minimum": 0, "maximum": 1},
        "minItems": 4,
        "maxItems": 4,
    }
)
class BoxField(serializers.Field[Any, Any, Any, Any]):
    """A part of an image: left, top, width and height in fractions of its sides; null where no part matches."""

    def to_representation(self, box: Any) -> list[float]:
        """Return the four numbers."""
        return list(box)


class BoxesSerializer(serializers.Serializer[Resemblance]):
    """The parts of two images that match."""

    query = BoxField(source="query_box", help_text="Left, top, width and height, in fractions; null if none matches.")
    match = BoxField(source="match_box", help_text="The same of the other item's image.")


class ResemblanceSerializer(serializers.Serializer[Resemblance]):
    """The resemblance of two images that were compared."""

    resemblance = serializers.ChoiceField(get_args(ResemblanceKind), source="kind", help_text=KIND_HELP)
    sentence = serializers.CharField(help_text=SENTENCE_HELP)
    boxes = BoxesSerializer(source="*", help_text="The parts that match.")
