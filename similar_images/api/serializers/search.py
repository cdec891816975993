"""JSON of searches and marks for the schema: matches, explanations, and the parameters of a search.

Matches are written by presentation.py, and parameters are read by forms.
"""

from __future__ import annotations

from typing import Any, get_args

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ... import plugins
from ...forms.search import MAX_BATCH, RestBatchForm, list_offered, target_choices
from ...image_labels import Label
from ...models import IndexedImage
from ...ranking_presets import RANKING_PRESETS
from ...search.explain import Reason, ReasonCode
from ...search.matches import Explanation, Match
from ...search.options import MAX_EXAMPLES, MAX_TEXT_LENGTH, Option, Query, SearchOptions
from ...search.ranking import text_methods
from ...search.resemblance import ResemblanceKind
from ..filter_parameters import filter_body_fields
from .comparison import RELATIONS
from .explanation import KIND_HELP, SENTENCE_HELP

IMAGE_STATUSES = [*IndexedImage.Status.values, "missing"]
"""Statuses of the image of a query."""

TARGET_PATTERN = r"^[^.]+\.[^.]+(\.[^.]+)?$"
"""A model, or one of its image fields."""

_NUMBER = r"\d+(\.\d+)?"

CURSOR_HELP = "Start of a further page: use the address in `next`, which has it."


class ExplanationSerializer(serializers.Serializer[Explanation]):
    """The methods and weights behind a match, and how the images resemble each other by their scores."""

    found_by = serializers.ListField(child=serializers.CharField(), help_text="The methods that found it.")
    weights = serializers.DictField(
        child=serializers.FloatField(),
        help_text="Weights of the scores in the similarity.",
    )
    resemblance = serializers.ChoiceField(
        get_args(ResemblanceKind),
        allow_null=True,
        help_text=f"{KIND_HELP} null for a fallback.",
    )
    sentence = serializers.CharField(allow_null=True, help_text=SENTENCE_HELP)


class ReasonSerializer(serializers.Serializer[Reason]):
    """Why an object is not among the matches."""

    code = serializers.ChoiceField(
        get_args(ReasonCode), help_text="In a word; listed, if it is among the matches after all."
    )
    text = serializers.CharField(help_text="The reason in a sentence.")
    similarity = serializers.FloatField(
        min_value=0, max_value=100, allow_null=True, help_text="Percent, 0 to 100, with one decimal."
    )
    rank = serializers.IntegerField(
        min_value=1, allow_null=True, help_text="Counts from 1; the exact rank if the search missed it."
    )
    scores = serializers.DictField(child=serializers.FloatField())
    distances = serializers.DictField(child=serializers.FloatField())


class ThumbnailSerializer(serializers.Serializer[Any]):
    """A smaller image."""

    url = serializers.CharField(help_text="Absolute address.")
    width = serializers.IntegerField(min_value=1)
    height = serializers.IntegerField(min_value=1)
    srcset = serializers.CharField(help_text="Further sizes, as the attribute of an image in HTML; may be empty.")


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ObjectField(serializers.Field[Any, Any, Any, Any]):
    """An object, as the serializer of its source has it, for the schema."""


class MatchSerializer(serializers.Serializer[Match]):
    """One object that looks like the query."""

    model = serializers.CharField(source="object._meta.label_lower", help_text="app_label.model")
    pk = serializers.CharField(source="object.pk")
    title = serializers.CharField()
    url = serializers.CharField(help_text="The object's own page; empty where it has none.")
    image = serializers.FileField(use_url=True, help_text="Absolute address of the image.")
    thumbnail = ThumbnailSerializer(
        allow_null=True, help_text="A smaller image, where the project makes thumbnails; otherwise null."
    )
    object = ObjectField(required=False, help_text="What the project's own serializer says of it, if there is one.")
    similarity = serializers.FloatField(min_value=0, max_value=100, help_text="Percent, 0 to 100, with one decimal.")
    scores = serializers.DictField(child=serializers.FloatField(), help_text="Similarity by method.")
    distances = serializers.DictField(
        child=serializers.FloatField(), required=False, help_text="Distance by method; only if requested."
    )
    explanation = ExplanationSerializer(required=False, help_text="How it came about; only if requested.")

    verdict = serializers.ChoiceField(
        RELATIONS,
        source="verdict.kind",
        required=False,
        help_text="Relation to the query's image; only if they were compared.",
    )
    folded = serializers.IntegerField(
        min_value=0, help_text="Number of near-duplicates that are grouped under this match."
    )
    fallback = serializers.BooleanField(
        source="is_fallback", help_text="Whether it is only shown because nothing is similar enough."
    )


@extend_schema_field({"type": ["string", "integer"]})
class KeyField(serializers.Field[Any, Any, Any, Any]):
    """A primary key, for the schema."""


class MarkSerializer(serializers.Serializer[Any]):
    """A mark of two objects, one of which is in the address."""

    # For the schema: `MarkForm` checks them.

    other = KeyField(help_text="ID of the other object.")
    alike = serializers.BooleanField(help_text="Whether the two are similar.")
    field = serializers.CharField(required=False, help_text="Image field, if the model has several.")


class MarkedSerializer(serializers.Serializer[Any]):
    """The mark of two objects, as it is now."""

    model = serializers.CharField(help_text="app_label.model")
    pk = serializers.CharField()
    other = serializers.CharField()
    alike = serializers.BooleanField(allow_null=True, help_text="null after the mark was removed.")


class LabelSerializer(serializers.Serializer[Label]):
    """A class of ImageNet that an image shows."""

    name = serializers.CharField(help_text="Name of the class.")
    score = serializers.FloatField(min_value=0, max_value=1, help_text="Probability, 0 to 1.")


class QuerySerializer(serializers.Serializer[Any]):
    """The query of an answer."""

    model = serializers.CharField()
    pk = serializers.CharField(required=False, help_text="Left out for an uploaded image and for a text.")
    text = serializers.CharField(required=False)
    labels = LabelSerializer(many=True, required=False, help_text="What the uploaded image shows; only if requested.")
    upload = serializers.CharField(
        required=False,
        help_text="The token of the uploaded image, for ten minutes; only if requested, and empty if it was not kept.",
    )
    status = serializers.ChoiceField(
        IMAGE_STATUSES,
        help_text="Status of the image; only an indexed one has results.",
    )
    indexed_at = serializers.DateTimeField(
        format="iso-8601",
        allow_null=True,
        default=None,
        help_text="Time when the image was last indexed; null where it never was, and for an upload or a text.",
    )


class MatchesSerializer(serializers.Serializer[Any]):
    """The answer to a search."""

    query = QuerySerializer()
    results = MatchSerializer(many=True)
    complete = serializers.BooleanField(
        source="results.is_complete",
        help_text="Whether all images were compared that had to be; if not, matches may be missing.",
    )
    next = serializers.URLField(
        allow_null=True, help_text="Absolute address of the next page; null where there is none."
    )
    why_not = ReasonSerializer(required=False, help_text="Why the requested object is not among the results.")


def serializer_field(option: Option) -> serializers.Field[Any, Any, Any, Any]:
    """Return the serializer field that describes a search option, with its bounds and choices."""
    common: dict[str, Any] = {"required": False, "help_text": option.help}
    maximum = option.visitor_maximum() if option.visitor_maximum else option.maximum
    if bool in option.types:
        return serializers.BooleanField(**common)
    if option.choices:
        return serializers.ChoiceField(list(option.choices), **common)
    if int in option.types:
        return serializers.IntegerField(min_value=option.minimum, max_value=maximum, **common)
    if float in option.types:
        return serializers.FloatField(min_value=option.minimum, max_value=maximum, **common)
    if option.name == "box":
        return serializers.RegexField(rf"^({_NUMBER}(,{_NUMBER}){{3}})?$", allow_blank=True, **common)
    if option.name == "ranking":
        return serializers.RegexField(_ranking_pattern(), allow_blank=True, **common)
    if option.name in ("like", "unlike"):
        return serializers.ListField(child=serializers.CharField(), max_length=MAX_EXAMPLES, **common)
    return serializers.CharField(max_length=option.max_length, allow_blank=True, **common)


def _ranking_pattern() -> str:
    """Return the pattern of weights of methods, or of the name of a preset that has some of the enabled methods."""
    methods = plugins.enabled_methods()
    presets = [name for name, weights in RANKING_PRESETS.items() if set(weights) & set(methods)]
    weight = rf"({'|'.join(methods)}):{_NUMBER}"
    return rf"^({'|'.join([*presets, f'{weight}(,{weight})*'])})?$"


class SearchOptionsSerializer(serializers.Serializer[Any]):
    """The parameters of a search."""

    # For the schema: the forms check them.

    query: Query

    def get_fields(self) -> dict[str, Any]:
        """Return the declared fields, and one for each option that may be set over REST."""
        options = list_offered(SearchOptions.on("rest", self.query))
        fields = {name: serializer_field(option) for name, option in options.items()}
        names = text_methods() if self.query == "text" else list(plugins.enabled_methods())
        fields["method"] = serializers.ChoiceField(names, required=False, help_text=options["method"].help)
        return super().get_fields() | fields


class SimilarSerializer(SearchOptionsSerializer):
    """The parameters of a search by an object."""

    query = "object"
    cursor = serializers.CharField(required=False, help_text=CURSOR_HELP)


@extend_schema_field({"anyOf": [{"type": "string", "format": "binary"}, {"type": "string"}]})
class UploadField(serializers.Field[Any, Any, Any, Any]):
    """A file, or the token of one that is kept, for the schema."""


class SearchTargetSerializer(SearchOptionsSerializer):
    """The parameters of a search where no object says which model is searched."""

    def get_fields(self) -> dict[str, Any]:
        """Return the model, too, which has to be named where there are several."""
        text = "app_label.model; required if several are registered."
        model = serializers.RegexField(TARGET_PATTERN, required=len(target_choices()) > 1, help_text=text)
        return super().get_fields() | {"model": model}


class SearchSerializer(SearchTargetSerializer):
    """The fields of a search by an uploaded image."""

    query = "image"
    image = UploadField(help_text="An image file, such as JPEG, PNG or WebP; or the token of one that is kept.")

    def get_fields(self) -> dict[str, Any]:
        """Return the filters, too."""
        return super().get_fields() | filter_body_fields()


class TextSerializer(SearchTargetSerializer):
    """The parameters of a search by text."""

    query = "text"
    text = serializers.CharField(max_length=MAX_TEXT_LENGTH, help_text=SearchOptions.declared()["text"].help)
    cursor = serializers.CharField(required=False, help_text=CURSOR_HELP)


@extend_schema_field({"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 1, "maxItems": MAX_BATCH})
class KeysField(serializers.Field[Any, Any, Any, Any]):
    """Primary keys, for the schema."""


class BatchSerializer(SearchOptionsSerializer):
    """The fields of a search by several objects."""

    query = "object"
    ids = KeysField(help_text=f"IDs of up to {MAX_BATCH} objects.")

    def get_fields(self) -> dict[str, Any]:
        """Return the fields that the form takes, too."""
        known = RestBatchForm().fields
        own = {name: field for name, field in super().get_fields().items() if name in known}
        return own | filter_body_fields()


class MatchesOfEachSerializer(serializers.Serializer[Any]):
    """The answer to a search by several objects."""

    results = MatchesSerializer(
        many=True, help_text="One answer an ID, in their order; without results where there is no such item."
    )
