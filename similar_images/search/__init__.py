"""The only reader of signatures: from an object, a picture or a text to what is like it, for whoever may see it."""

from .matches import Explanation, Match, among, similar_among, similar_to

__all__ = ["Explanation", "Match", "among", "similar_among", "similar_to"]
