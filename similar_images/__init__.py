"""Similar-image recommendations for Django.

Importing this package loads neither models nor NumPy, OpenCV or onnxruntime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .registry import NotRegistered, register

if TYPE_CHECKING:
    from .bounded import SearchTimeout
    from .comparing import Comparison, Incomparable, compare
    from .images import UnreadableImage
    from .labeling import Label, labels
    from .marks import mark, unmark
    from .querysets import SimilarMixin, SimilarQuerySet
    from .search import Match, similar_to
    from .search.reasons import Reason, why_not

__all__ = [
    "Comparison",
    "Incomparable",
    "Label",
    "Match",
    "NotRegistered",
    "Reason",
    "SearchTimeout",
    "SimilarMixin",
    "SimilarQuerySet",
    "UnreadableImage",
    "compare",
    "labels",
    "mark",
    "register",
    "similar_to",
    "unmark",
    "why_not",
]
__version__ = "0.1.0"

# Imported when first asked for: most of these need the models, which exist only after the app registry is ready.
_ROOMS = {
    "bounded": ["SearchTimeout"],
    "comparing": ["Comparison", "Incomparable", "compare"],
    "images": ["UnreadableImage"],
    "labeling": ["Label", "labels"],
    "marks": ["mark", "unmark"],
    "querysets": ["SimilarMixin", "SimilarQuerySet"],
    "search": ["Match", "similar_to"],
    "search.reasons": ["Reason", "why_not"],
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
