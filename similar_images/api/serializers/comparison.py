"""JSON of a comparison of two images."""

from __future__ import annotations

import math
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ...comparison.compare import MeasureRow
from ...comparison.results import DisplayedImage, Drawing, RenderedComparison

RELATIONS = ["same-file", "same-picture", "edited-picture", "contains", "same-object", "alike", "unrelated"]
"""Kinds of a verdict, written out as `measures.verdict` loads OpenCV."""


@extend_schema_field(
    {"anyOf": [{"type": "string", "format": "binary"}, {"type": "string", "example": "catalog.product:12"}]}
)
class ImageOrObjectField(serializers.Field[Any, Any, Any, Any]):
    """A file, or a text that names an object, for the schema."""


class CompareSerializer(serializers.Serializer[Any]):
    """Two images to compare."""

    # For the schema: `CompareForm` checks them.

    a = ImageOrObjectField(
        help_text="An image file; or an object, as app_label.model:pk or app_label.model.field:pk. Of an owner of "
        "several images, the first one is compared."
    )
    b = ImageOrObjectField(help_text="Another image.")
    measures = serializers.RegexField(
        r"^([\w-]+(,[\w-]+)*)?$",
        required=False,
        allow_blank=True,
        help_text="Names of measures, separated by commas, or all.",
    )


class DisplayedImageSerializer(serializers.Serializer[DisplayedImage]):
    """One of two images that were compared."""

    title = serializers.CharField(source="side.title", help_text="Name of the object, or of the file.")
    width = serializers.IntegerField(min_value=1)
    height = serializers.IntegerField(min_value=1)
    image = serializers.SerializerMethodField(
        help_text="Absolute address of the image; that of an upload is valid for ten minutes, and may be empty."
    )
    url = serializers.CharField(source="side.url", help_text="The object's own page; empty if it has none.")
    model = serializers.CharField(
        source="side.object._meta.label_lower", required=False, help_text="Left out for an upload, like field and pk."
    )
    field = serializers.CharField(source="side.source.field_name", required=False)
    pk = serializers.CharField(source="side.object.pk", required=False)

    def get_image(self, shown: DisplayedImage) -> str:
        """Return the absolute address, empty where there is none."""
        return str(self.context["request"].build_absolute_uri(shown.image)) if shown.image else ""


class TransformSerializer(serializers.Serializer[Any]):
    """The geometry between two images of the same content."""

    is_mirrored = serializers.BooleanField()
    angle = serializers.FloatField(help_text="Degrees counterclockwise.")
    scale = serializers.FloatField(help_text="Pixels of b per pixel of a.")
    part = serializers.ListField(
        child=serializers.FloatField(),
        min_length=4,
        max_length=4,
        help_text="Left, top, width and height of what b shows of a, in fractions.",
    )
    whole = serializers.ListField(
        child=serializers.FloatField(), min_length=4, max_length=4, help_text="The same of what a shows of b."
    )
    stretch = serializers.FloatField(
        min_value=0, help_text="Logarithm of the ratio of two scales, across each other; 0 if proportions are kept."
    )


class VerdictSerializer(serializers.Serializer[Any]):
    """The relation between two images."""

    kind = serializers.ChoiceField(RELATIONS)
    title = serializers.CharField()
    text = serializers.CharField(help_text="The verdict in a sentence.")
    changes = serializers.ListField(child=serializers.CharField(), help_text="Edits between the two images.")
    transform = TransformSerializer(allow_null=True)
    probability = serializers.FloatField(
        min_value=0, max_value=1, help_text="How surely both are one picture, edited or not."
    )


def finite_or_none(value: float | None) -> float | None:
    """Return a number that JSON can hold, None for infinity and NaN."""
    return value if value is not None and math.isfinite(value) else None


class MeasureRowSerializer(serializers.Serializer[MeasureRow]):
    """The result of one measure."""

    name = serializers.CharField(source="measure.name")
    title = serializers.CharField(source="measure.title")
    meaning = serializers.CharField(source="measure.meaning")
    value = serializers.SerializerMethodField("finite_value", help_text="In the unit of the measure, or null.")
    best = serializers.SerializerMethodField(help_text="Value of identical images; null if unbounded.")
    worst = serializers.SerializerMethodField(help_text="Value of images that share nothing; null if unbounded.")
    similarity = serializers.FloatField(
        min_value=0, max_value=100, allow_null=True, help_text="Percent, 0 to 100, with one decimal."
    )
    seconds = serializers.FloatField(min_value=0)
    details = serializers.DictField(source="result.details", default=dict, help_text="Further figures.")
    problem = serializers.CharField(help_text="Why there is no value; otherwise empty.")

    def finite_value(self, row: MeasureRow) -> float | None:
        """Return the value."""
        return finite_or_none(row.value)

    def get_best(self, row: MeasureRow) -> float | None:
        """Return the value of identical images."""
        return finite_or_none(row.measure.best)

    def get_worst(self, row: MeasureRow) -> float | None:
        """Return the value of images that share nothing."""
        return finite_or_none(row.measure.worst)


class DrawingSerializer(serializers.Serializer[Drawing]):
    """An image that explains the result of a measure."""

    measure = serializers.CharField(source="measure.name", help_text="Name of the measure.")
    name = serializers.CharField()
    title = serializers.CharField()
    url = serializers.SerializerMethodField(
        help_text="Absolute address of a PNG file, valid for ten minutes and as long as you may see both objects."
    )

    def get_url(self, drawing: Drawing) -> str:
        """Return the absolute address."""
        return str(self.context["request"].build_absolute_uri(drawing.url))


class ComparisonSerializer(serializers.Serializer[RenderedComparison]):
    """Two images compared."""

    a = DisplayedImageSerializer()
    b = DisplayedImageSerializer()
    verdict = VerdictSerializer()
    measures = MeasureRowSerializer(many=True, source="rows")
    complete = serializers.BooleanField(
        source="is_complete", help_text="Whether every measure that is installed has a result."
    )
    pictures = DrawingSerializer(many=True, source="drawings")
