"""REST: how two items resemble each other, and which parts of their images match."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from ..comparison import explanations
from ..comparison.compare import Incomparable
from ..comparison.results import ComparisonInput
from ..forms.mark import PairForm
from ..search.explain import nearest_images
from ..sources.source import ImageSource
from . import examples
from .base import ApiView, check_form, get_django_request
from .documentation import document
from .problems import ItemNotFound
from .serializers.explanation import ResemblanceSerializer
from .views import FIELD_PARAMETER, OTHER_PARAMETER, PATH_PARAMETERS, find_visible_object


class ExplanationApiView(ApiView):
    """The resemblance of two objects."""

    costly_action = "compare"

    @document(
        "explain_items",
        "How two items resemble each other",
        ResemblanceSerializer,
        examples.EXPLANATION,
        errors=(400, 404, 503),
        parameters=[*PATH_PARAMETERS, OTHER_PARAMETER, FIELD_PARAMETER],
    )
    def get(self, request: Request, model: str, pk: str) -> Response:
        """Say in a sentence how the images of two objects resemble each other, and which parts of them match.

        Of items with several images, those two are compared that are most similar.
        """
        visitor = get_django_request(request)
        values = check_form(PairForm(request.query_params)).cleaned_data
        source, item = find_visible_object(visitor, model, pk, values["field"] or None)
        other = source.get_visible(visitor, values["other"], item.__class__) if item is not None else None
        if item is None or other is None:
            raise ItemNotFound
        self.admit(request, ["compare"])
        image, other_image = nearest_images(source, item, other, visitor)
        try:
            a, b = _as_input("pk", source, image), _as_input("other", source, other_image)
            explanation = explanations.explain_images(a, b, visitor)
        except Incomparable as error:
            raise ValidationError({"pk" if error.which == "a" else "other": [error.reason]}) from None
        return Response(ResemblanceSerializer(explanation.resemblance).data)


def _as_input(name: str, source: ImageSource, image: Any) -> ComparisonInput:
    if image is None or not source.get_file_name(image):
        raise ValidationError({name: [_("It has no image, or its image has not been registered yet.")]})
    return ComparisonInput(getattr(image, source.field_name), source, image)
