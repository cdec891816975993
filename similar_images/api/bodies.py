"""Bodies of requests: bounded before they are read, and whatever is wrong with them is an answer like any other."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.http.multipartparser import MultiPartParserError
from django.utils.translation import gettext as _
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.utils.json import strict_constant

from ..forms.uploads import find_body_problem
from .parameters import describe_repeated


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
            ValidationError: a key is there several times; with a sentence by name.
        """
        encoding = (parser_context or {}).get("encoding", settings.DEFAULT_CHARSET)
        constant = strict_constant if self.strict else None
        try:
            text = stream.read().decode(encoding)  # by no codec that decompresses, as a reader would
            data = json.loads(text, parse_constant=constant, object_pairs_hook=_make_object)
        except (RecursionError, LookupError):  # nested too deeply; an unknown character set
            data = None
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from None
        if not isinstance(data, dict) or any(map(self.is_nested, data, data.values())):
            raise ParseError(_("Send a JSON object without nested values."))
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which no database stores
            raise ParseError(_("The request could not be read.")) from None
        return data

    def is_nested(self, name: str, value: Any) -> bool:
        """Tell whether a value is no text, number or boolean."""
        return isinstance(value, (dict, list))


class ItemsJSONParser(FlatJSONParser):
    """Parse a JSON object that may have lists of texts and numbers: keys, and values of a filter."""

    def is_nested(self, name: str, value: Any) -> bool:
        """Tell whether a value is no text, number or boolean, nor a list of texts and numbers."""
        if isinstance(value, list):
            return any(isinstance(part, bool) or not isinstance(part, (str, int, float)) for part in value)
        return super().is_nested(name, value)


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object of its keys and values.

    Raises:
        ValidationError: all values of a key but the last would be ignored.
    """
    repeated = [name for name, count in Counter(name for name, _value in pairs).items() if count > 1]
    if repeated:
        raise ValidationError(describe_repeated(repeated))
    return dict(pairs)


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
