"""Similar-image recommendations for Django.

Importing this package loads neither models nor NumPy, OpenCV or onnxruntime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .registry import register

if TYPE_CHECKING:
    from .comparing import Comparison, compare
    from .labeling import Label, labels
    from .marks import mark, unmark
    from .querysets import SimilarMixin, SimilarQuerySet
    from .search import Match, similar_to
    from .search.reasons import Reason, why_not

__all__ = [
    "Comparison",
    "Label",
    "Match",
    "Reason",
    "SimilarMixin",
    "SimilarQuerySet",
    "compare",
    "labels",
    "mark",
    "register",
    "similar_to",
    "unmark",
    "why_not",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # search.py needs the models, which exist only after the app registry is ready.
    if name in ("Match", "similar_to"):
        from . import search

        return getattr(search, name)
    if name in ("mark", "unmark"):
        from . import marks

        return getattr(marks, name)
    if name in ("Reason", "why_not"):
        from .search import reasons

        return getattr(reasons, name)
    if name in ("SimilarMixin", "SimilarQuerySet"):
        from . import querysets

        return getattr(querysets, name)
    if name in ("Comparison", "compare"):
        from . import comparing

        return getattr(comparing, name)
    if name in ("Label", "labels"):
        from . import labeling

        return getattr(labeling, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
