"""The JSON that goes over the wire."""

from __future__ import annotations

import math
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ..comparison import MeasureRow
from ..comparison_results import DisplayedImage, Drawing, RenderedComparison
from ..image_labels import Label
from ..models import IndexedImage
from ..search.explain import Reason
from ..search.matches import Explanation, Match
from ..search.options import MAX_EXAMPLES, MAX_TEXT_LENGTH, Option, Query, SearchOptions


class ExplanationSerializer(serializers.Serializer[Explanation]):
    found_by = serializers.ListField(
        child=serializers.CharField(), help_text="The methods among whose candidates it was."
    )
    weights = serializers.DictField(
        child=serializers.FloatField(), help_text="By method; the similarity is the mean of the scores by these."
    )


class ReasonSerializer(serializers.Serializer[Reason]):
    code = serializers.CharField(
        help_text="unknown, invisible, itself, excluded, filtered, marked, no-query, not-indexed, incomparable, "
        "below-threshold, folded, beyond-limit or missed; listed, where it is in the list after all."
    )
    text = serializers.CharField(help_text="The same in a sentence.")
    similarity = serializers.FloatField(allow_null=True, help_text="0 to 100 percent, one decimal.")
    rank = serializers.IntegerField(allow_null=True, help_text="From 1; exact where the search missed it.")
    scores = serializers.DictField(child=serializers.FloatField())
    distances = serializers.DictField(child=serializers.FloatField())


class MatchSerializer(serializers.Serializer[Match]):
    model = serializers.CharField(source="object._meta.label_lower", help_text="app_label.model")
    pk = serializers.CharField(source="object.pk")
    title = serializers.CharField(source="object")
    url = serializers.CharField(help_text="The object's own page; empty where it has none.")
    image = serializers.FileField(help_text="Absolute address of the image.")
    similarity = serializers.FloatField(help_text="0 to 100 percent, one decimal.")
    scores = serializers.DictField(child=serializers.FloatField(), help_text="The similarity by method.")
    distances = serializers.DictField(
        child=serializers.FloatField(), required=False, help_text="The raw distance by method, where asked for."
    )
    explanation = ExplanationSerializer(required=False, help_text="How it came about, where asked for.")

    verdict = serializers.CharField(
        source="verdict.kind", required=False, help_text="What the picture is to the query's, where both were compared."
    )
    folded = serializers.IntegerField(help_text="How many near copies were left out for this one.")
    fallback = serializers.BooleanField(
        source="is_fallback", help_text="Shown as nothing is similar enough, at 0 percent; else false."
    )

    def get_fields(self) -> dict[str, Any]:
        """Leave out what was not asked for."""
        fields = super().get_fields()
        for name in ("distances", "explanation"):
            if not self.context.get(name, True):
                del fields[name]
        return fields


class MarkSerializer(serializers.Serializer[Any]):
    """The fields of a mark, for the schema; forms.MarkForm checks them."""

    other = serializers.CharField(help_text="The key of the other object.")
    alike = serializers.BooleanField()
    field = serializers.CharField(required=False, help_text="The image field, where the model has several.")


class MarkedSerializer(serializers.Serializer[Any]):
    model = serializers.CharField(help_text="app_label.model")
    pk = serializers.CharField()
    other = serializers.CharField()
    alike = serializers.BooleanField(allow_null=True, help_text="null where nothing is said of the two any more.")


class LabelSerializer(serializers.Serializer[Label]):
    name = serializers.CharField(help_text="A class of ImageNet.")
    score = serializers.FloatField(help_text="Its probability, 0 to 1.")


class QuerySerializer(serializers.Serializer[Any]):
    model = serializers.CharField()
    pk = serializers.CharField(required=False, help_text="Left out for an uploaded picture and for a text.")
    text = serializers.CharField(required=False)
    labels = LabelSerializer(many=True, required=False, help_text="What is in the uploaded picture, if asked for.")
    status = serializers.ChoiceField(
        [*IndexedImage.Status.values, "missing"], help_text="There are results only for what is indexed."
    )


class MatchesSerializer(serializers.Serializer[Any]):
    query = QuerySerializer()
    results = MatchSerializer(many=True)
    why_not = ReasonSerializer(required=False, help_text="Why the object that was asked for is not in the results.")


def serializer_field(option: Option) -> serializers.Field[Any, Any, Any, Any]:
    """Return the serializer field that describes a search option, with its bounds and choices."""
    common: dict[str, Any] = {"required": False, "help_text": option.help}
    maximum = option.visitor_maximum() if option.visitor_maximum else option.maximum
    if option.choices:
        return serializers.ChoiceField(list(option.choices), **common)
    if bool in option.types:
        return serializers.BooleanField(**common)
    if int in option.types:
        return serializers.IntegerField(min_value=option.minimum, max_value=maximum, **common)
    if float in option.types:
        return serializers.FloatField(min_value=option.minimum, max_value=maximum, **common)
    if option.name in ("like", "unlike"):
        return serializers.ListField(child=serializers.CharField(), max_length=MAX_EXAMPLES, **common)
    return serializers.CharField(max_length=option.max_length, **common)


class SearchOptionsSerializer(serializers.Serializer[Any]):
    """The parameters of a search, for the schema; the forms check them."""

    query: Query

    def get_fields(self) -> dict[str, Any]:
        """Return the declared fields, and one for each option that may be set over REST."""
        options = SearchOptions.on("rest", self.query)
        return super().get_fields() | {name: serializer_field(option) for name, option in options.items()}


class SimilarSerializer(SearchOptionsSerializer):
    """The parameters of a search by an object."""

    query = "object"


class SearchSerializer(SearchOptionsSerializer):
    """The fields of a search by an uploaded image."""

    query = "image"
    image = serializers.FileField()
    model = serializers.CharField(required=False, help_text="app_label.model; needed where there are several.")


class TextSerializer(SearchOptionsSerializer):
    """The parameters of a search by text."""

    query = "text"
    text = serializers.CharField(max_length=MAX_TEXT_LENGTH, help_text=SearchOptions.declared()["text"].help)
    model = serializers.CharField(required=False, help_text="app_label.model; needed where there are several.")


@extend_schema_field(
    {"oneOf": [{"type": "string", "format": "binary"}, {"type": "string", "example": "catalog.product:12"}]}
)
class PictureField(serializers.Field[Any, Any, Any, Any]):
    """A file, or a text that names an object, for the schema."""


class CompareSerializer(serializers.Serializer[Any]):
    """The fields of a comparison, for the schema; forms.CompareForm checks them."""

    a = PictureField(help_text="A picture file; or an object, as app_label.model:pk or app_label.model.field:pk.")
    b = PictureField(help_text="Another.")
    measures = serializers.CharField(required=False, help_text="Names with commas between them, or all.")


class ShownSerializer(serializers.Serializer[DisplayedImage]):
    title = serializers.CharField(source="side.title", help_text="The object in words, or the name of the file.")
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    image = serializers.SerializerMethodField(
        help_text="Absolute address of the picture; that of an upload holds for ten minutes, and may be empty."
    )
    url = serializers.CharField(source="side.url", help_text="The object's own page; empty where there is none.")
    model = serializers.CharField(
        source="side.object._meta.label_lower", required=False, help_text="Left out for an upload, as field and pk."
    )
    field = serializers.CharField(source="side.source.field_name", required=False)
    pk = serializers.CharField(source="side.object.pk", required=False)

    def get_image(self, shown: DisplayedImage) -> str:
        return str(self.context["request"].build_absolute_uri(shown.image)) if shown.image else ""


class TransformSerializer(serializers.Serializer[Any]):
    is_mirrored = serializers.BooleanField()
    angle = serializers.FloatField(help_text="Degrees counterclockwise.")
    scale = serializers.FloatField(help_text="Pixels of b for a pixel of a.")
    part = serializers.ListField(
        child=serializers.FloatField(), help_text="Left, top, width and height of what b shows of a, in fractions."
    )
    whole = serializers.ListField(child=serializers.FloatField(), help_text="The same of what a shows of b.")


class VerdictSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(["same-file", "same-picture", "same-object", "alike", "unrelated"])
    title = serializers.CharField()
    text = serializers.CharField(help_text="The verdict in a sentence.")
    changes = serializers.ListField(child=serializers.CharField(), help_text="What was done to the same picture.")
    transform = TransformSerializer(allow_null=True)


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


class RowSerializer(serializers.Serializer[MeasureRow]):
    name = serializers.CharField(source="measure.name")
    title = serializers.CharField(source="measure.title")
    meaning = serializers.CharField(source="measure.meaning")
    value = serializers.SerializerMethodField(
        "value_of", help_text="In the measure's own unit; null where there is none."
    )
    best = serializers.SerializerMethodField(help_text="The value of a picture with itself; null if unbounded.")
    worst = serializers.SerializerMethodField(help_text="That of two that share nothing; null if unbounded.")
    similarity = serializers.FloatField(allow_null=True, help_text="0 to 100 percent, one decimal.")
    seconds = serializers.FloatField()
    details = serializers.DictField(source="reading.details", default=dict, help_text="More figures.")
    problem = serializers.CharField(help_text="Why there is no value; else empty.")

    def value_of(self, row: MeasureRow) -> float | None:
        return finite(row.value)

    def get_best(self, row: MeasureRow) -> float | None:
        return finite(row.measure.best)

    def get_worst(self, row: MeasureRow) -> float | None:
        return finite(row.measure.worst)


class DrawingSerializer(serializers.Serializer[Drawing]):
    measure = serializers.CharField(source="measure.name", help_text="The measure that drew it.")
    name = serializers.CharField()
    title = serializers.CharField()
    url = serializers.SerializerMethodField(help_text="Absolute address of a PNG file that is kept for ten minutes.")

    def get_url(self, drawing: Drawing) -> str:
        return str(self.context["request"].build_absolute_uri(drawing.url))


class ComparisonSerializer(serializers.Serializer[RenderedComparison]):
    a = ShownSerializer()
    b = ShownSerializer()
    verdict = VerdictSerializer()
    measures = RowSerializer(many=True, source="rows")
    pictures = DrawingSerializer(many=True, source="drawings")


class OfSourceSerializer(serializers.Serializer[Any]):
    # Checkers see the attribute `source` of serializers; but declared fields are taken off the class, and hide nothing.
    source = serializers.CharField(help_text="app_label.Model.field")  # type: ignore[assignment]


class SourceStatusSerializer(OfSourceSerializer):
    records = serializers.DictField(
        child=serializers.IntegerField(), help_text="How many records are pending, indexed and failed."
    )


class MethodStatusSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.CharField()
    dimensions = serializers.IntegerField()
    metric = serializers.CharField()
    weight = serializers.FloatField(help_text="In the default ranking.")


class IndexStatusSerializer(OfSourceSerializer):
    method = serializers.CharField()
    version = serializers.CharField(help_text="The one that is searched by.")
    next_version = serializers.CharField(help_text="That of the setting, while it is filled in; else empty.")
    search = serializers.ChoiceField(["hnsw", "exact"], help_text="By an approximate index, or by a scan.")


class StatusSerializer(serializers.Serializer[Any]):
    sources = SourceStatusSerializer(many=True)
    methods = MethodStatusSerializer(many=True)
    indexes = IndexStatusSerializer(many=True)
