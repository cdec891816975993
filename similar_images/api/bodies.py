"""Bodies of requests: bounded before they are read, and whatever is wrong with them is an answer like any other."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import (
    BadRequest,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.http.multipartparser import MultiPartParserError
from django.utils.translation import gettext as _
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from ..forms.uploads import find_body_problem


class BodyTooLarge(APIException):
    """The body is larger than what the endpoint takes: 413."""

    status_code = 413
    default_code = "too_large"


class FlatJSONParser(JSONParser):
    """Parse a JSON object of texts, numbers and booleans, which is all that these endpoints take."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        """Return the object.

        Raises:
            ParseError: the body is something else.
        """
        try:
            data = super().parse(stream, media_type, parser_context)
        except (RecursionError, LookupError):  # nested too deeply; an unknown character set
            data = None
        if not isinstance(data, dict) or any(map(self.is_nested, data, data.values())):
            raise ParseError(_("Send a JSON object without nested values."))
        return data

    def is_nested(self, name: str, value: Any) -> bool:
        """Tell whether a value is no text, number or boolean."""
        return isinstance(value, (dict, list))


class ItemsJSONParser(FlatJSONParser):
    """Parse a JSON object that may have a list of texts and numbers under `ids`."""

    def is_nested(self, name: str, value: Any) -> bool:
        """Tell whether a value is no text, number or boolean, nor the list of keys."""
        if name == "ids" and isinstance(value, list):
            return any(isinstance(key, bool) or not isinstance(key, (str, int)) for key in value)
        return super().is_nested(name, value)


def check_body_size(request: Request, uploads: int) -> None:
    """Check that a body is not too large to be read.

    Raises:
        BodyTooLarge: it is, for so many images.
    """
    if problem := find_body_problem(request.META, uploads):
        raise BodyTooLarge(problem)


def describe_body_error(error: Exception) -> APIException | None:
    """Return what an exception means to who sent the body; None if it is about something else."""
    if isinstance(error, (BodyTooLarge, ParseError)):
        return error
    if isinstance(error, RequestDataTooBig):
        return BodyTooLarge(_("The request is too large."))
    if isinstance(error, TooManyFieldsSent):
        return ParseError(_("The request has too many fields."))
    if isinstance(error, TooManyFilesSent):
        return ParseError(_("The request has too many files."))
    if isinstance(error, (SuspiciousOperation, BadRequest, MultiPartParserError)):
        return ParseError(_("The request could not be read."))
    return None
