"""The options of a search, each declared once.

From `SearchOptions` come the checks of the Python functions, the fields of the forms, the parameters of REST with their
bounds and choices in the OpenAPI document, and the table in the docs.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import datetime
from functools import cache
from math import isfinite
from numbers import Integral, Real
from types import NoneType
from typing import Any, Literal, TypeVar, get_type_hints

from django.db import models
from django.db.models.expressions import BaseExpression
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import conf
from ..imaging.decode import Box
from ..imaging.files import Readable
from ..ranking_presets import RANKING_PRESETS
from ..sources.source import ImageSource
from .ranking import Ranking

Example = models.Model | Readable
"""An object of a registered model, or an image in an open binary file."""

Fallback = Literal["newest"] | Callable[[ImageSource, "models.QuerySet[Any]", int], Iterable[models.Model]]
"""Objects to show where nothing is similar enough: the newest, or those that a callable returns. It gets the source, a
queryset of the objects that may come back, and the limit."""

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

Surface = Literal["python", "page", "rest"]
Query = Literal["object", "image", "text"]

MAX_TEXT_LENGTH = 300
"""Characters of a text to search by."""

MAX_EXAMPLES = 10
"""Objects that a visitor may name in `like`, and as many in `unlike`."""


class OptionError(ValueError):
    """An option has a bad value, or makes no sense beside another; `option` is its name."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option = option


@dataclass(frozen=True)
class Option:
    """The declaration of one option.

    `types` are the Python types of a value; `minimum` and `maximum` its bounds, both included, the latter maybe only
    for visitors; `choices` the labels of the values that there are; `parse` reads a visitor's text, and raises
    ValueError. `surfaces` are where it may be set, `queries` what may be searched by beside it.
    """

    help: str
    label: Any = ""
    minimum: int | None = None
    maximum: int | None = None
    visitor_maximum: Callable[[], int] | None = None
    max_length: int | None = None
    choices: Mapping[str, Any] = field(default_factory=dict)
    parse: Callable[[str], Any] | None = None
    surfaces: tuple[Surface, ...] = ("python", "page", "rest")
    queries: tuple[Query, ...] = ("object", "image", "text")
    name: str = ""
    types: tuple[type, ...] = ()
    default: Any = None

    def clean(self, value: Any) -> Any:
        """Return a Python value that is of the option's type and within its bounds.

        Raises:
            OptionError: it is not; the message says what is.
        """
        if value is None or value is self.default:
            return self.default
        if not self._has_type(value):
            raise OptionError(self.name, f"{self.name} must be {self.type_name}, not {value!r:.80}.")
        if self.choices and isinstance(value, str) and value not in self.choices:
            message = _("Unknown value “%(value)s” for %(option)s. Choices: %(choices)s.")
            if Callable in set[Any](self.types):
                message = _("Unknown value “%(value)s” for %(option)s. Choices: %(choices)s, or a callable.")
            values = {"value": value, "option": self.name, "choices": ", ".join(self.choices)}
            raise OptionError(self.name, message % values)
        self._check_bounds(value)
        return self._parse_text(value)

    def _parse_text(self, value: Any) -> Any:
        """Read a text as that of a visitor, where the option has a way to."""
        if not isinstance(value, str) or self.parse is None:
            return value
        try:
            return self.parse(value)
        except ValueError as error:
            raise OptionError(self.name, str(error)) from None

    def _has_type(self, value: Any) -> bool:
        """Tell whether a value is of the types; those that are no scalars are left to who reads the value."""
        scalars = {str: str, bool: bool, int: Integral, float: Real}
        if not scalars.keys() >= set(self.types):
            return True
        is_flag = isinstance(value, bool)
        return (not is_flag or bool in self.types) and isinstance(value, tuple(scalars[kind] for kind in self.types))

    def _check_bounds(self, value: Any) -> None:
        low, high = self.minimum, self.maximum
        if low is None or not isinstance(value, Real):
            return
        value = float(value)
        if high is not None and not low <= value <= high:
            message = _("%(option)s must be between %(low)g and %(high)g.")
            raise OptionError(self.name, message % {"option": self.name, "low": low, "high": high})
        if not (low <= value and isfinite(value)):
            message = _("%(option)s must be at least %(low)g, not %(value)s.")
            raise OptionError(self.name, message % {"option": self.name, "low": low, "value": f"{value:g}"})

    @property
    def type_name(self) -> str:
        """The types in words, such as "int or None"."""
        names = [kind.__name__ for kind in self.types] or ["a value"]
        return " or ".join([*names, *(["None"] if self.default is None else [])])


def option(default: Any, help: str, **spec: Any) -> Any:  # noqa: A002 - the word that forms and serializers use
    """Declare a field of `SearchOptions`; `spec` are further fields of `Option`."""
    return field(default=default, metadata={"option": Option(help, **spec)})


def parse_ranking(text: str) -> Ranking | str:
    """Read a ranking: the name of a preset, or weights as in `embedding:0.8,color:0.2`.

    Raises:
        ValueError: it is neither.
    """
    if text in RANKING_PRESETS:
        return text
    try:
        return {name.strip(): float(weight) for name, weight in (part.split(":") for part in text.split(","))}
    except ValueError:
        message = _("Enter weights such as embedding:0.8,color:0.2, or one of: %(presets)s.")
        raise ValueError(message % {"presets": ", ".join(RANKING_PRESETS)}) from None


def parse_box(box: str | Sequence[float]) -> Box:
    """Read a part of an image: left, top, width and height in fractions of it, 0 to 1, also with commas between.

    Raises:
        ValueError: it is no such part.
    """
    numbers = box.split(",") if isinstance(box, str) else box
    try:
        x, y, width, height = (float(number) for number in numbers)
    except (TypeError, ValueError):
        raise ValueError(_("Enter a box as left,top,width,height, in fractions of the image.")) from None
    is_within = all(isfinite(n) for n in (x, y, width, height)) and min(x, y) >= 0 and min(width, height) > 0
    if not is_within or max(x + width, y + height) > 1.000_001:
        raise ValueError(_("The box must lie within the image: left, top, width and height are fractions of it."))
    return x, y, width, height


PYTHON: tuple[Surface, ...] = ("python",)
VISITOR: tuple[Surface, ...] = ("page", "rest")
REST: tuple[Surface, ...] = ("rest",)
IMAGES: tuple[Query, ...] = ("object", "image")


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Everything that may be asked of a search beside the query itself."""

    model: type[models.Model] | str | None = option(
        None, 'Model to search in, as a class or "app_label.Model"; needed where no object says it.', surfaces=PYTHON
    )
    field: str | None = option(None, "Image field, where the model has several.")
    queryset: models.QuerySet[Any] | Iterable[models.Model] | None = option(
        None,
        "Only objects of this queryset come back, with its annotations and select_related; or only these objects, such "
        "as the results of a search engine.",
        surfaces=PYTHON,
    )
    request: HttpRequest | None = option(
        None,
        "Decides, by the source's `visible`, which objects may come back; without it, those that an anonymous visitor "
        "may see.",
        surfaces=PYTHON,
    )
    for_editors: bool = option(
        False,
        "What the user of `request` may see as an editor comes back, by the `policy` of the source, not by `visible`.",
        surfaces=PYTHON,
    )
    text: str | None = option(
        None,
        f"Text to search by in place of an image, {MAX_TEXT_LENGTH} characters at most. It is compared by one method "
        "that has a text encoder: that of `method`, or the first.",
        label=gettext_lazy("Describe the image"),
        max_length=MAX_TEXT_LENGTH,
        surfaces=("python",),
        queries=("text",),
    )
    mode: str = option(
        "similar",
        '"similar" finds similar images; "copy" finds the same image, however edited, and verifies the best '
        "candidates by comparing the images.",
        label=gettext_lazy("Show"),
        choices={"similar": gettext_lazy("Similar items"), "copy": gettext_lazy("Copies of this image")},
        queries=IMAGES,
    )
    limit: int | None = option(
        None,
        'Number of matches at most; SIMILAR_IMAGES["LIMIT"] by default.',
        label=gettext_lazy("Number of results"),
        minimum=1,
        visitor_maximum=lambda: conf.get().max_limit,
    )
    min_similarity: float | None = option(
        None,
        'Minimum similarity in percent, 0 to 100. By default 70 for copies, that of SIMILAR_IMAGES["MIN_SIMILARITY"] '
        "on pages and over REST, and 0 in Python and for texts.",
        label=gettext_lazy("Minimum similarity (%)"),
        minimum=0,
        maximum=100,
    )
    method: str | None = option(None, "Rank by this method alone.", label=gettext_lazy("Match by"))
    ranking: Ranking | str | None = option(
        None,
        "Weights by method, as embedding:0.8,color:0.2 in a query string, or the name of a preset, in place of "
        'SIMILAR_IMAGES["RANKING"].',
        parse=parse_ranking,
        queries=IMAGES,
    )
    rerank: str | None = option(
        None,
        '"keypoints" ranks the best 100 matches again by verified keypoints; their images are read. "neighbors" '
        'smooths the similarity of the best 50 over those that are most like them; no image is read. "verifier" ranks '
        'the best 50 by SIMILAR_IMAGES["VERIFIER"], where that is set; their images are read.',
        choices={
            "keypoints": gettext_lazy("Keypoints"),
            "neighbors": gettext_lazy("Neighbors"),
            "verifier": gettext_lazy("Verifier"),
        },
        queries=IMAGES,
    )
    fold: bool = option(
        True,
        "Group near-duplicates of the query, and of each other, under the best of them.",
        label=gettext_lazy("Near-duplicates"),
        choices={"1": gettext_lazy("Grouped"), "0": gettext_lazy("Show all")},
    )
    diversity: float = option(0, "Trade similarity for variety, 0 to 1 (MMR).", minimum=0, maximum=1)
    distinct: str | BaseExpression = option(
        "",
        'Field path such as "brand", or an expression: only the best match of each value there comes back, and none of '
        "the query's own. Owners come back once without it.",
        surfaces=PYTHON,
    )
    filters: Mapping[str, Any] | None = option(
        None,
        "Values by name of the source's `filters`: only what fits them all comes back. On pages and over REST, each "
        "filter is a parameter of its own.",
        surfaces=PYTHON,
    )
    like: Sequence[str] = option(
        (),
        f"IDs of up to {MAX_EXAMPLES} more objects to search by: matches are similar to all, by the mean.",
        surfaces=VISITOR,
        queries=IMAGES,
    )
    unlike: Iterable[Example] = option(
        (),
        "Objects or images that matches must not resemble; half of the similarity to the most similar of them is "
        f"subtracted. Over REST, IDs of up to {MAX_EXAMPLES} objects.",
        queries=IMAGES,
    )
    exclude: Iterable[models.Model] = option(
        (), "Objects that must not come back; the query never does.", surfaces=PYTHON
    )
    box: Sequence[float] | None = option(
        None,
        "Only this part of the query's image counts: left, top, width and height in fractions, 0 to 1. A stored image "
        "is read and described for it, within the bounds of an upload.",
        parse=parse_box,
        queries=IMAGES,
    )
    exact: bool = option(
        False,
        "Rank all images, without the approximate index, which may miss some; slow for many. Over REST for staff.",
        surfaces=("python", "rest"),
        queries=("object",),
    )
    indexed_before: datetime | None = option(
        None, "Only images that were indexed before this time come back.", surfaces=PYTHON
    )
    fallback: Fallback | None = option(
        None,
        'What to show where nothing is similar enough: "newest", or in Python a callable that gets the source, a '
        "queryset and the limit, and returns objects.",
        choices={"newest": gettext_lazy("Newest items")},
    )
    min_matches: int = option(
        1, "Where fewer objects are similar enough, show the fallback, or nothing.", minimum=1, surfaces=PYTHON
    )
    explain: bool = option(
        False,
        "Say of each match how it came about: which methods found it, their weights, and in a sentence how the images "
        "resemble each other.",
        surfaces=("python", "rest"),
        queries=("object",),
    )
    why_not: str = option(
        "", "ID of an object: say why it is not among the matches.", surfaces=REST, queries=("object",)
    )
    distances: bool = option(False, "Also return the distance by each method.", surfaces=REST)
    labels: bool = option(
        False, "Also return the ImageNet names of what the uploaded image shows.", surfaces=REST, queries=("image",)
    )
    keep: bool = option(
        False,
        "Keep the uploaded image for ten minutes, and return a token to send as `image` in its place.",
        surfaces=REST,
        queries=("image",),
    )

    @classmethod
    @cache
    def declared(cls) -> dict[str, Option]:
        """Return the declaration of every option by name, in order."""
        hints = get_type_hints(cls)
        return {
            spec.name: replace(
                spec.metadata["option"], name=spec.name, types=_value_types(hints[spec.name]), default=spec.default
            )
            for spec in fields(cls)
            if spec.default is not MISSING
        }

    @classmethod
    def on(cls, surface: Surface, query: Query | None = None) -> dict[str, Option]:
        """Return the options that may be set on a surface, beside such a query."""
        return {
            name: spec
            for name, spec in cls.declared().items()
            if surface in spec.surfaces and (query is None or query in spec.queries)
        }

    @classmethod
    def from_arguments(cls, caller: str, arguments: Mapping[str, Any]) -> SearchOptions:
        """Make options of keyword arguments of the function `caller`.

        Raises:
            TypeError: there is no option of a name; the message has the nearest one.
            OptionError: a value is of another type, or out of bounds.
        """
        known = cls.on("python")
        for name in arguments:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise TypeError(f"{caller}() got an unexpected keyword argument {name!r}.{hint}")
        return cls(**{name: known[name].clean(value) for name, value in arguments.items()})

    def check(self, examples: int) -> None:
        """Check that the options make sense together, for a search by so many examples; 0 is a search by text.

        Raises:
            OptionError: they do not.
        """
        comparing = "rerank" if self.rerank in ("keypoints", "verifier") else "mode" if self.mode == "copy" else ""
        if self.rerank == "verifier" and conf.get().verifier is None:
            raise OptionError("rerank", _("This site has no verifier: set SIMILAR_IMAGES['VERIFIER']."))
        if self.mode == "copy" and self.rerank:
            raise OptionError("rerank", _("mode=copy already compares the images: leave out rerank."))
        if (comparing or self.rerank) and not examples:
            raise OptionError(comparing or "rerank", _("A text has no image to compare: leave out mode and rerank."))
        if comparing and (examples != 1 or self.box is not None):
            raise OptionError(comparing, _("mode=copy and rerank take one whole image: leave out box and like."))
        if (option := comparing or ("rerank" if self.rerank else "")) and self.diversity:
            raise OptionError(
                option, _("diversity cannot be combined with mode=copy or rerank: leave out one of them.")
            )
        if self.box is not None and examples != 1:
            raise OptionError("box", _("A box is a part of one image: search by one object or file only."))


def _value_types(annotation: Any) -> tuple[type, ...]:
    """Return the classes of the values of an annotation, without None, which stands for the default."""
    return tuple(kind for kind in conf.runtime_types(annotation) if kind is not NoneType)


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return a function's signature with every option that Python may set in place of its `**options`."""
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    hints = {spec.name: spec.type for spec in fields(SearchOptions)}
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=spec.default, annotation=hints[name])
        for name, spec in SearchOptions.on("python").items()
        if name not in signature.parameters
    ]
    return signature.replace(parameters=[*parameters, *options])


def accepts_search_options(function: Decorated) -> Decorated:
    """Show the options of a search in the signature of a function that takes them as `**options`."""
    function.__signature__ = signature_of(function)  # type: ignore[attr-defined]  # what inspect reads
    return function
