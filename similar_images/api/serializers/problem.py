"""JSON of an error, for the schema: problem details as RFC 9457 has them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class ProblemSerializer(serializers.Serializer[Any]):
    """An error."""

    type = serializers.CharField(help_text="Always about:blank: the status says what kind of error it is.")
    title = serializers.CharField(help_text="The status in English words.")
    status = serializers.IntegerField(min_value=400, max_value=599, help_text="The HTTP status.")
    detail = serializers.CharField(help_text="What is wrong, in a sentence for people.")
    # A serializer has a property `errors`; but declared fields are taken off the class, and hide nothing.
    errors = serializers.DictField(  # type: ignore[assignment]  # the base class has `errors`, too
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="Sentences by parameter; only where parameters are wrong.",
    )
