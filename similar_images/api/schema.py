"""The OpenAPI document of these endpoints alone, whatever else the project serves."""

from __future__ import annotations

from typing import Any

from drf_spectacular.generators import SchemaGenerator

PACKAGE = __name__.rpartition(".")[0]


class ApiSchemaGenerator(SchemaGenerator):
    """Generates the document with the names of path parameters as they are."""

    def coerce_path(self, path: str, method: str, view: Any) -> str:
        """Keep the path: the key is called pk here, as in the answers."""
        return path


def select_own_endpoints(endpoints: list[tuple[str, str, str, Any]], **kwargs: Any) -> list[tuple[str, str, str, Any]]:
    """Return the endpoints of this app, whatever else the project serves."""
    return [endpoint for endpoint in endpoints if endpoint[3].cls.__module__.startswith(PACKAGE)]
