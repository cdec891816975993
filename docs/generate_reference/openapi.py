"""REST endpoints and objects, read from the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from typing import Any
from unittest.mock import patch

from .markdown import code, prose, table


@cache
def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the REST endpoints, of a site with search by text, and without filters."""
    from similar_images import registry
    from similar_images.api import serializers, views
    from similar_images.api.schema import generate_document

    with ExitStack() as stack:
        stack.enter_context(patch.object(registry, "get_sources", list))
        for module in (views, serializers.search):
            stack.enter_context(patch.object(module, "text_methods", lambda: ["embedding"]))
        return generate_document()


def describe_endpoint(operation_id: str) -> str:
    """Describe an endpoint: parameters, or fields of its body, and the answer."""
    document = openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation["operationId"] == operation_id:
                return describe_operation(document, path, method, operation)
    raise LookupError(operation_id)


def describe_operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    """Return method, address, parameters, and answer of an operation."""
    address = "…/" + path.partition("/similar-images/")[2]
    parts = [f"`{method.upper()} {address}`", prose(operation.get("description", ""))]
    rows = [
        [code(p["name"]), p["in"], schema_type(document, p["schema"]), required(p), described(p)]
        for p in sorted(operation.get("parameters", []), key=lambda p: (p["in"] != "path", not p.get("required")))
    ]
    body = next(iter(operation.get("requestBody", {}).get("content", {}).values()), {}).get("schema")
    if body:
        rows += [["`" + row[0].strip("`") + "`", "body", *row[1:]] for row in properties(document, body)]
    if rows:
        parts.append(table(["Parameter", "In", "Type", "", "Meaning"], rows))
    for content in operation["responses"]["200"]["content"].values():
        parts.append("Answer: " + schema_type(document, content["schema"]))
    errors = [code(status) for status in operation["responses"] if status >= "400"]
    parts.append(f"Errors: {', '.join(errors)}")
    return "\n\n".join(filter(None, parts))


def describe_objects() -> str:
    """Describe the objects of all answers."""
    document = openapi()
    names: list[str] = []

    def visit(schema: Any) -> None:
        for reference in re.findall(r"#/components/schemas/(\w+)", str(schema)):
            if reference not in names and "properties" in document["components"]["schemas"][reference]:
                names.append(reference)
                visit(document["components"]["schemas"][reference])

    visit(
        [operation.get("responses") for operations in document["paths"].values() for operation in operations.values()]
    )
    parts = []
    for name in sorted(names):
        rows = [row[:2] + row[3:] for row in properties(document, {"$ref": f"#/components/schemas/{name}"})]
        parts.append(f"### {name} {{ #object-{name.lower()} }}\n\n{table(['Field', 'Type', 'Meaning'], rows)}")
    return "\n\n".join(parts)


def properties(document: dict[str, Any], schema: dict[str, Any]) -> list[list[str]]:
    """Return name, type, requirement, and meaning of every property of an object."""
    target = resolve(document, schema)
    return [
        [
            code(name),
            schema_type(document, field),
            required({"required": name in target.get("required", [])}),
            described(field),
        ]
        for name, field in target["properties"].items()
    ]


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema, or the one that it refers to."""
    if "$ref" in schema:
        return dict(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return schema


def required(item: Mapping[str, Any]) -> str:
    """Return whether a parameter or a field must be given, in a word."""
    return "required" if item.get("required") else ""


def described(item: Mapping[str, Any]) -> str:
    """Return the description of a parameter or a field."""
    text = item.get("description", "") or item.get("schema", {}).get("description", "")
    return prose(text.split("\n\n* `")[0])  # without the list of an enum's values, which the type has


def schema_type(document: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return a type with its bounds, values and default."""
    for key in ("allOf", "oneOf", "anyOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(schema_type(document, part) for part in schema[key]))
    if isinstance(schema.get("type"), list):
        types = [{**schema, "type": kind} if kind != "null" else {"type": kind} for kind in schema["type"]]
        return " or ".join(schema_type(document, kind) for kind in types)
    target = resolve(document, schema)
    if "properties" in target:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#object-{name.lower()})"
    if "enum" in target:
        text = ", ".join(code(value) for value in target["enum"] if value not in ("", None))
    elif target.get("type") == "array":
        text = f"list of {schema_type(document, target['items'])}"
    elif isinstance(target.get("additionalProperties"), dict) and target["additionalProperties"]:
        text = f"object of {schema_type(document, target['additionalProperties'])}"
    else:
        text = {"binary": "file", "uri": "address"}.get(target.get("format", ""), target.get("type", "any"))
    if "minimum" in target or "maximum" in target:
        low, high = target.get("minimum"), target.get("maximum")
        text += (
            f", {low:g} to {high:g}"
            if low is not None and high is not None
            else f", from {low:g}"
            if high is None
            else f", to {high:g}"
        )
    if "maxLength" in target:
        text += f", at most {target['maxLength']} characters"
    if target.get("default") not in (None, ""):
        text += f", default `{target['default']}`"
    return text
