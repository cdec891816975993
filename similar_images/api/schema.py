"""The OpenAPI document of these endpoints alone, whatever else the project serves."""

from __future__ import annotations

from typing import Any


def only_ours(endpoints: list[tuple[str, str, str, Any]], **kwargs: Any) -> list[tuple[str, str, str, Any]]:
    package = __name__.rpartition(".")[0]
    return [endpoint for endpoint in endpoints if endpoint[3].cls.__module__.startswith(package)]
