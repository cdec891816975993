"""JSON of matches, written out by hand: field by field, serializers take longer than the search.

The same is declared for the schema in serializers/search.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rest_framework.request import Request
from rest_framework.serializers import DateTimeField

from ..search.matches import Match
from ..sources.source import ImageSource, resolve_callable

MOMENT = DateTimeField(format="iso-8601")


@dataclass(frozen=True)
class Presentation:
    """The way in which matches are shown.

    Attributes:
        request: that of the visitor.
        source: the source that was searched.
        has_distances: whether matches tell their distances.
        is_explained: whether they tell how they came about.
    """

    request: Request
    source: ImageSource
    has_distances: bool = False
    is_explained: bool = False

    def present_answer(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Return an answer in JSON.

        Args:
            answer: what is known of the `query`, the `results`, which are `Matches`, the address of the `next` page,
                and perhaps a reason `why_not`.
        """
        query, matches = answer["query"], answer["results"]
        indexed_at = query.get("indexed_at")
        presented = {
            "query": {**query, "indexed_at": MOMENT.to_representation(indexed_at) if indexed_at else None},
            "results": self.present_matches(matches),
            "complete": matches.is_complete,
            "next": answer["next"],
        }
        if "why_not" in answer:
            presented["why_not"] = asdict(answer["why_not"])
        return presented

    def present_matches(self, matches: list[Match]) -> list[dict[str, Any]]:
        """Return matches in JSON."""
        serializer = resolve_callable(self.source.serializer)
        return [self._present_match(match, serializer) for match in matches]

    def _present_match(self, match: Match, serializer: Any) -> dict[str, Any]:
        image = match.image
        data: dict[str, Any] = {
            "model": match.object._meta.label_lower,
            "pk": str(match.object.pk),
            "title": match.title,
            "url": match.url,
            "image": self.request.build_absolute_uri(image.url) if image else None,
            "thumbnail": self._present_thumbnail(match),
        }
        if serializer:
            data["object"] = serializer(match.object, context={"request": self.request}).data
        data |= {"similarity": match.similarity, "scores": match.scores}
        if self.has_distances:
            data["distances"] = match.distances
        if self.is_explained and match.explanation:
            resemblance = match.resemblance
            data["explanation"] = asdict(match.explanation) | {
                "resemblance": resemblance.kind if resemblance else None,
                "sentence": resemblance.sentence if resemblance else None,
            }
        if match.verdict:
            data["verdict"] = match.verdict.kind
        return data | {"folded": match.folded, "fallback": match.is_fallback}

    def _present_thumbnail(self, match: Match) -> dict[str, Any] | None:
        """Return the thumbnail with absolute addresses, None where there is none."""
        thumbnail = match.thumbnail
        if thumbnail is None:
            return None
        build = self.request.build_absolute_uri
        candidates = (candidate.strip().partition(" ") for candidate in thumbnail.srcset.split(", "))
        srcset = ", ".join(f"{build(url)} {size}".strip() for url, _space, size in candidates if url)
        return {"url": build(thumbnail.url), "width": thumbnail.width, "height": thumbnail.height, "srcset": srcset}
