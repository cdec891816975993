"""What a design is: a family of products of one shape in several finishes, and how its pictures are taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from project.photography.composition import Camera, Part

FINISHES_WITH_ROOM = 1
"""The first finishes of a design are also shown furnished."""


@dataclass(frozen=True)
class Design:
    """A family of products; `build` makes the parts from the arguments of a finish."""

    category: str
    name: str
    price: str
    material: str
    description: str
    build: Callable[..., list[Part]]
    finishes: Mapping[str, tuple[Any, ...]]
    setting: str = "table"
    """Where it stands when it is shown furnished: "table", "room", "floor" or "wall"."""
    camera: Camera = Camera()
    views: tuple[str, ...] = ("front", "angle", "room")
    """Views of the first finish."""
    backdrop: str = "#f5f3ef"

    @property
    def family(self) -> str:
        return self.name.lower().replace(" ", "-").replace("é", "e")

    def slug(self, finish: str) -> str:
        return f"{self.family}-{finish.lower().replace(' ', '-')}"

    def views_of(self, finish: str) -> tuple[str, ...]:
        """Return the views of a finish: all of the first, front and room of the next, the front of the others."""
        number = list(self.finishes).index(finish)
        if number == 0:
            return self.views
        return tuple(view for view in self.views if view == "front" or (view == "room" and number < FINISHES_WITH_ROOM))
