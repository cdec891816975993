"""Document an endpoint in the OpenAPI document: its answer and its errors, each with an example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema

from .filter_parameters import filter_query_parameters
from .problems import PROBLEM_TYPE, describe_problem
from .serializers.problem import ProblemSerializer

ViewMethod = TypeVar("ViewMethod", bound=Callable[..., Any])

TAG = "similar-images"

ERRORS: dict[int, Any] = {
    400: {"limit": ["Ensure this value is less than or equal to 100."]},
    401: "Authentication credentials were not provided.",
    403: "You do not have permission to perform this action.",
    404: "No item with this ID.",
    413: "The file is larger than 10.0 MB. Please choose a smaller one.",
    415: "Unsupported media type “text/plain” in request.",
    429: "Too many requests. Please try again in 2 minutes.",
    503: "This took too long. Please try a smaller image.",
}
"""Examples of what errors say, by status."""

DESCRIPTIONS = {
    400: "A parameter is wrong or unknown.",
    401: "The project asks for a login.",
    403: "The visitor is not allowed to use this.",
    404: "There is no such model or item, or none that the visitor may see.",
    413: "The body is too large.",
    415: "The body is of a type that is not taken.",
    429: "There were too many requests; Retry-After has the seconds to wait.",
    503: "It took too long.",
}
"""Meanings of errors, by status."""

OF_ALL = (401, 403, 429)
"""Errors of every endpoint: the project's own authentication, permissions and throttles."""

OF_BODIES = (400, 413, 415)
"""Errors of endpoints that take a body."""


class FilterableSchema(AutoSchema):
    """The schema of an endpoint that takes filters in its query."""

    def get_override_parameters(self) -> list[Any]:
        """Return the filters of all sources, as they are now."""
        return [*super().get_override_parameters(), *filter_query_parameters()]


def document(
    operation_id: str,
    summary: str,
    answer: Any,
    example: Any,
    *,
    errors: tuple[int, ...] = (),
    has_filters: bool = False,
    **more: Any,
) -> Callable[[ViewMethod], ViewMethod]:
    """Document a method of a view, whatever the project's DEFAULT_SCHEMA_CLASS is.

    Args:
        operation_id: name of the function in a generated client.
        summary: what it does, in a few words.
        answer: serializer of the answer.
        example: an example of it, or several by name.
        errors: the statuses of errors beside those of every endpoint.
        has_filters: whether its query may have the filters of a source.
        **more: as for drf-spectacular's `extend_schema`.
    """
    responses: dict[Any, Any] = {(200, "application/json"): OpenApiResponse(answer, description="The answer.")}
    for status in sorted({*errors, *OF_ALL}):
        responses[status, PROBLEM_TYPE] = OpenApiResponse(ProblemSerializer, description=DESCRIPTIONS[status])
    examples = [OpenApiExample("Answer", example, response_only=True, status_codes=["200"])]
    examples += [_error_example(status) for status in sorted({*errors, *OF_ALL})]
    examples += more.pop("examples", [])
    documentation = {"operation_id": operation_id, "summary": summary, "responses": responses, "examples": examples}
    return _extend(FilterableSchema if has_filters else AutoSchema, **documentation, tags=[TAG], **more)


def leave_out(method: ViewMethod) -> ViewMethod:
    """Leave a method of a view out of the document."""
    return _extend(AutoSchema, exclude=True)(method)


def _extend(schema_class: type[AutoSchema], **documentation: Any) -> Callable[[ViewMethod], ViewMethod]:
    def decorate(method: ViewMethod) -> ViewMethod:
        method.kwargs = {"schema": schema_class}  # type: ignore[attr-defined]  # where extend_schema looks first
        return extend_schema(**documentation)(method)

    return decorate


def _error_example(status: int) -> OpenApiExample:
    problem = describe_problem(status, ERRORS[status])
    return OpenApiExample(
        f"Error {status}", problem, response_only=True, status_codes=[str(status)], media_type=PROBLEM_TYPE
    )
