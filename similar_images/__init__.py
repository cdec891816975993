"""Similar-image recommendations for Django.

Importing this package loads neither models nor NumPy, OpenCV or onnxruntime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .registry import NotRegistered, register

if TYPE_CHECKING:
    from .comparison.compare import Comparison, Incomparable, compare
    from .generations import clear_widgets
    from .image_labels import Label, labels
    from .imaging.decode import UnreadableImage
    from .imaging.timeouts import SearchTimeout
    from .marks import mark, unmark
    from .search.explain import Reason, why_not
    from .search.matches import Match, Matches, similar_to
    from .search.querysets import SimilarMixin, SimilarQuerySet

__all__ = [
    "Comparison",
    "Incomparable",
    "Label",
    "Match",
    "Matches",
    "NotRegistered",
    "Reason",
    "SearchTimeout",
    "SimilarMixin",
    "SimilarQuerySet",
    "UnreadableImage",
    "clear_widgets",
    "compare",
    "labels",
    "mark",
    "register",
    "similar_to",
    "unmark",
    "why_not",
]
__version__ = "0.1.0"

# Imported on first access: most of these need the models, which exist only once the app registry is ready.
_LAZY_EXPORTS = {
    "Comparison": "comparison.compare",
    "Incomparable": "comparison.compare",
    "Label": "image_labels",
    "Match": "search.matches",
    "Matches": "search.matches",
    "Reason": "search.explain",
    "SearchTimeout": "imaging.timeouts",
    "SimilarMixin": "search.querysets",
    "SimilarQuerySet": "search.querysets",
    "UnreadableImage": "imaging.decode",
    "clear_widgets": "generations",
    "compare": "comparison.compare",
    "labels": "image_labels",
    "mark": "marks",
    "similar_to": "search.matches",
    "unmark": "marks",
    "why_not": "search.explain",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first access."""
    if name not in _LAZY_EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY_EXPORTS[name]}", __name__), name)


def __dir__() -> list[str]:
    """List the public names, also those that are not imported yet."""
    return sorted({*__all__, "__version__"})
