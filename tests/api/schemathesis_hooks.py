"""Make of generated requests such as find something: with keys of objects that there are, and images that are some.

What the document can't say in OpenAPI, its descriptions do, and is kept here: which parameters exclude each other, and
that a cursor is one that was given out.
"""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis.core.parameters import ParameterLocation

from tests import drawing

OBJECTS: dict[str, list[str]] = json.loads(os.environ["REST_OBJECTS"])
"""Keys of the objects that there are, by model; the first model is searched."""

MODEL = next(iter(OBJECTS))

FILTERS: list[str] = json.loads(os.environ["REST_FILTERS"])
"""The filters of all models."""

FILTERS_OF = {"testapp.item": ["price__lte", "shelf__name"]}
"""Filters of a model that take every value."""

IMAGES = [drawing.encoded(drawing.scene(seed, (40, 30)), kind) for seed, kind in ((1, "PNG"), (2, "JPEG"), (3, "WEBP"))]

COMPARING = {"like", "unlike", "box", "diversity", "cursor"}
"""Parameters that mode=copy and rerank do not take beside them."""

schemathesis.openapi.format("binary", strategies.sampled_from(IMAGES))


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Let an image be a file alone: where it may be a token, too, the tool sends the bytes as a text without a name."""
    fields = raw_schema["components"]["schemas"]["Search"]["properties"]
    fields["image"] = {"type": "string", "format": "binary"}


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out what is wrong by an empty text alone: `allowEmptyValue` allows it, which is not known to the tool."""
    is_positive = case.meta.generation.mode.is_positive
    return is_positive or not isinstance(case.query, dict) or "" not in case.query.values()


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """Change the parts of a request that are as the document says, so that what they name exists."""
    model, key = MODEL, ""
    if case.path_parameters and not case.meta.is_negative_at(ParameterLocation.PATH):
        path = case.path_parameters
        model = path["model"] = sorted(OBJECTS)[len(str(path["model"])) % len(OBJECTS)]
        if "pk" in path:
            key = path["pk"] = select_key(model, path["pk"])
    if case.meta.generation.mode.is_positive:
        for values in (case.query, case.body):
            if isinstance(values, dict):
                adjust(values, model, key)
    return case


def adjust(values: dict[str, Any], model: str, key: str) -> None:
    """Change the parameters of a query or the fields of a body."""
    for name in {"cursor", "field", *FILTERS} - set(FILTERS_OF.get(model, ())):
        values.pop(name, None)
    if "model" in values:
        values["model"] = model
    for name in ("like", "unlike", "ids"):
        if name in values:
            values[name] = [select_key(model, key) for key in values[name]]
    if "why_not" in values:
        values["why_not"] = select_key(model, values["why_not"])
    if "other" in values:
        values["other"] = next(other for other in OBJECTS[model] if other != key)
    if "measures" in values:
        values["measures"] = "phash"
    if "ranking" in values:
        values["ranking"] = "mean:1"
    for name in ("a", "b"):
        if isinstance(values.get(name), str):
            values[name] = f"{MODEL}:{select_key(MODEL, values[name])}"
    if "box" in values:
        values["box"] = "0.25,0,0.5,1"
        values.pop("like", None)
    if "method" in values:
        values.pop("ranking", None)
    if values.get("mode") == "copy":
        values.pop("rerank", None)
    if values.get("mode") == "copy" or values.get("rerank"):
        for name in COMPARING & set(values):
            del values[name]
        if "limit" in values:
            values["limit"] = 20


def select_key(model: str, value: Any) -> str:
    """Return the key of an object, always the same for a value."""
    return OBJECTS[model][len(str(value)) % len(OBJECTS[model])]
