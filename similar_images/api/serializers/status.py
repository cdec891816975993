"""JSON of the status of the index."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

SCANS = ["hnsw", "exact"]
"""Ways to search a source."""


class PerSourceSerializer(serializers.Serializer[Any]):
    """Base of what is reported of a source."""

    # Checkers see the attribute `source` of serializers; but declared fields are taken off the class, and hide nothing.
    source = serializers.CharField(help_text="app_label.Model.field")  # type: ignore[assignment]  # the base class has `source`, too


class SourceStatusSerializer(PerSourceSerializer):
    """Number of records of a source."""

    records = serializers.DictField(
        child=serializers.IntegerField(min_value=0), help_text="Number of records by status: pending, indexed, failed."
    )


class MethodStatusSerializer(serializers.Serializer[Any]):
    """An enabled method."""

    name = serializers.CharField()
    version = serializers.CharField()
    dimensions = serializers.IntegerField(min_value=1)
    metric = serializers.CharField()
    weight = serializers.FloatField(min_value=0, help_text="Weight in the default ranking.")


class IndexStatusSerializer(PerSourceSerializer):
    """The version and the kind of scan by which a source is searched."""

    method = serializers.CharField()
    version = serializers.CharField(help_text="The active version, which searches use.")
    next_version = serializers.CharField(help_text="The configured version while it is computed; otherwise empty.")
    search = serializers.ChoiceField(SCANS, help_text="By an approximate index or an exact scan.")


class StatusSerializer(serializers.Serializer[Any]):
    """The status of the index."""

    sources = SourceStatusSerializer(many=True)
    unregistered = SourceStatusSerializer(
        many=True,
        help_text="Sources that are no longer registered, for staff who may view the model. "
        "“index_images --prune” deletes their records.",
    )
    methods = MethodStatusSerializer(many=True)
    indexes = IndexStatusSerializer(many=True)
