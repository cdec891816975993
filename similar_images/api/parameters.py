"""Names of parameters: one that an endpoint does not know is refused, rather than ignored as if it had been obeyed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.forms import Widget
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.settings import api_settings
from rest_framework.versioning import QueryParameterVersioning

from ..printable import make_printable

CSRF_FIELD = "csrfmiddlewaretoken"
"""Field of a form in which Django's own scripts send their token."""

MAX_SHOWN = 80
"""Characters of an unknown name that are shown."""


def find_unknown_names(given: Iterable[str], known: Collection[str]) -> dict[str, list[str]]:
    """Return a sentence on each name that is not known, with the nearest known one."""
    unknown = [name for name in given if name not in known and name != CSRF_FIELD and name not in project_names()]
    return {make_printable(name)[:MAX_SHOWN]: [_describe_unknown(name, known)] for name in unknown}


def find_repeated_names(data: Any, files: Any, widgets: Mapping[str, Widget]) -> dict[str, list[str]]:
    """Return a sentence on each name that is given several times, where all values but the last would be ignored.

    Args:
        data: the texts that were given, as a `QueryDict`; of JSON, the parser finds them.
        files: the files.
        widgets: what reads the values of each name.
    """
    given = (data, files)
    if not hasattr(data, "getlist"):
        return {}
    names = {name for values in given for name in values if name in widgets and len(values.getlist(name)) > 1}
    last, last_files = (MultiValueDict({name: values.getlist(name)[-1:] for name in values}) for values in given)
    reads = {name: widgets[name].value_from_datadict for name in names}
    ignoring = [name for name, read in reads.items() if read(data, files, name) == read(last, last_files, name)]
    return describe_repeated(ignoring)


def describe_repeated(names: Iterable[str]) -> dict[str, list[str]]:
    """Return a sentence on each name that was given several times."""
    return {make_printable(name)[:MAX_SHOWN]: [_("Send this only once.")] for name in names}


def check_names(given: Mapping[str, Any], known: Collection[str] = ()) -> None:
    """Check that all names are known.

    Raises:
        ValidationError: they are not; with a sentence by name.
    """
    if unknown := find_unknown_names(given, known):
        raise ValidationError(unknown)


def check_format(query: Mapping[str, Any]) -> None:
    """Check that the format that the REST framework lets one ask for is JSON.

    Raises:
        ValidationError: it is another.
    """
    name = api_settings.URL_FORMAT_OVERRIDE
    value = query.get(name, "") if name else ""
    if value and value != "json":
        message = _("Unknown value “%(value)s” for %(option)s. Choices: %(choices)s.")
        raise ValidationError(
            {name: [message % {"value": make_printable(value)[:MAX_SHOWN], "option": name, "choices": "json"}]}
        )


def project_names() -> list[str]:
    """Return the names that the project's REST_FRAMEWORK setting gives a meaning of its own."""
    names = [api_settings.URL_FORMAT_OVERRIDE]
    versioning: Any = api_settings.DEFAULT_VERSIONING_CLASS
    if versioning and issubclass(versioning, QueryParameterVersioning):
        names.append(versioning.version_param)
    return [name for name in names if name]


def _describe_unknown(name: str, known: Collection[str]) -> str:
    message = _("Unknown parameter “%(name)s”.") % {"name": make_printable(name)[:MAX_SHOWN]}
    near = difflib.get_close_matches(name[:MAX_SHOWN], known, 1, cutoff=0.7)
    hint = _("Did you mean “%(name)s”?") % {"name": near[0]} if near else ""
    return f"{message} {hint}".strip()
