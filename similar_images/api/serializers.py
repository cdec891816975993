"""The JSON that goes over the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ..labeling import Label
from ..search import Match


class MatchSerializer(serializers.Serializer[Match]):
    model = serializers.CharField(source="object._meta.label_lower", help_text="app_label.model")
    pk = serializers.CharField(source="object.pk")
    title = serializers.CharField()
    url = serializers.CharField(help_text="The object's own page; empty where it has none.")
    image = serializers.SerializerMethodField(help_text="Absolute address of the picture.")
    similarity = serializers.FloatField(help_text="0 to 100 percent, one decimal.")
    scores = serializers.DictField(child=serializers.FloatField(), help_text="The similarity by method.")
    distances = serializers.DictField(
        child=serializers.FloatField(), required=False, help_text="The raw distance by method, where asked for."
    )

    def to_representation(self, match: Match) -> dict[str, Any]:
        data = super().to_representation(match)
        if not self.context["distances"]:
            del data["distances"]
        return data

    def get_image(self, match: Match) -> str:
        return str(self.context["request"].build_absolute_uri(match.image.url))


class LabelSerializer(serializers.Serializer[Label]):
    name = serializers.CharField(help_text="A class of ImageNet.")
    score = serializers.FloatField(help_text="Its probability, 0 to 1.")


class QuerySerializer(serializers.Serializer[Any]):
    model = serializers.CharField()
    pk = serializers.CharField(required=False, help_text="Left out for an uploaded picture and for a text.")
    text = serializers.CharField(required=False)
    labels = LabelSerializer(many=True, required=False, help_text="What is in the uploaded picture, if asked for.")
    status = serializers.ChoiceField(
        ["pending", "indexed", "failed", "missing"], help_text="There are results only for what is indexed."
    )


class MatchesSerializer(serializers.Serializer[Any]):
    query = QuerySerializer()
    results = MatchSerializer(many=True)


class SearchSerializer(serializers.Serializer[Any]):
    """The fields of an upload, for the schema; forms.SearchForm checks them."""

    image = serializers.FileField()
    model = serializers.CharField(required=False, help_text="app_label.model; needed where there are several.")
    field = serializers.CharField(required=False)
    limit = serializers.IntegerField(required=False)
    min_similarity = serializers.FloatField(required=False)
    method = serializers.CharField(required=False)
    ranking = serializers.CharField(required=False, help_text="Weights by method: embedding:0.8,color:0.2")
    distances = serializers.BooleanField(required=False, help_text="Also tell the raw distances.")
    labels = serializers.BooleanField(required=False, help_text="1 names what is in the picture, in query.labels.")


class SourceStatusSerializer(serializers.Serializer[Any]):
    # The REST framework takes declared fields off the class, so this hides no attribute of its own.
    source = serializers.CharField(help_text="app_label.Model.field")  # type: ignore[assignment]
    records = serializers.DictField(
        child=serializers.IntegerField(), help_text="How many records are pending, indexed and failed."
    )


class MethodStatusSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.CharField()
    dimensions = serializers.IntegerField()
    metric = serializers.CharField()
    weight = serializers.FloatField(help_text="In the default ranking.")


class IndexStatusSerializer(serializers.Serializer[Any]):
    # The REST framework takes declared fields off the class, so this hides no attribute of its own.
    source = serializers.CharField(help_text="app_label.Model.field")  # type: ignore[assignment]
    method = serializers.CharField()
    version = serializers.CharField(help_text="The one that is searched by.")
    next_version = serializers.CharField(help_text="That of the setting, while it is filled in; else empty.")
    search = serializers.ChoiceField(["hnsw", "exact"], help_text="By an approximate index, or by a scan.")


class StatusSerializer(serializers.Serializer[Any]):
    sources = SourceStatusSerializer(many=True)
    methods = MethodStatusSerializer(many=True)
    indexes = IndexStatusSerializer(many=True)
