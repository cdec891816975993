"""The only reader of signatures: from an object, a picture or a text to what is like it, for whoever may see it."""

from .matches import Explanation, Match, among, one_of, similar_among, similar_to, status_of, visible_object

__all__ = ["Explanation", "Match", "among", "one_of", "similar_among", "similar_to", "status_of", "visible_object"]
