"""What other code asks for: the matches of an object, a picture or a text, for whoever may see them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from django.db import models
from django.db.models.fields.files import FieldFile

from ..registry import ImageSource, get_object_url
from . import candidates, plan, ranking
from .plan import Example, Options
from .ranking import Ranking

if TYPE_CHECKING:
    from ..measures.verdict import Verdict


@dataclass(frozen=True)
class Explanation:
    """How a match came about: the methods that put it forward, and the weights of those that scored it."""

    found_by: Sequence[str]
    weights: dict[str, float]


@dataclass(frozen=True)
class Match:
    """One object that looks like the query.

    `similarity` is 0 to 100 percent with one decimal; `scores` the same by method; `distances` are raw, in each
    method's own metric, 0 for the same picture. `verdict` says what the object's picture is to the query's, where a
    search for copies compared the two. `folded` near copies were left out for this one. `is_fallback` says that it is
    no match, but shown as nothing is similar enough: at 0 percent, with no scores. `explanation` is there where it was
    asked for.
    """

    source: ImageSource
    object: Any
    similarity: float
    scores: dict[str, float]
    distances: dict[str, float]
    verdict: Verdict | None = None
    folded: int = 0
    is_fallback: bool = False
    explanation: Explanation | None = None

    @property
    def image(self) -> FieldFile:
        file: FieldFile = getattr(self.object, self.source.field_name)
        return file

    @property
    def title(self) -> str:
        return str(self.object)

    @property
    def key(self) -> str:
        """What the object's picture is called where two are compared."""
        return self.source.format_key(self.object)

    @property
    def url(self) -> str:
        """The object's own page, empty where it has none."""
        return get_object_url(self.object)


def similar_to(
    query: Example | Iterable[Example] | None = None,
    *,
    model: type[models.Model] | str | None = None,
    queryset: models.QuerySet[Any] | None = None,
    explain: bool = False,
    **options: Unpack[Options],
) -> list[Match]:
    """Find the objects that look most like an object, or like a picture in an open binary file, or that fit a text.

    Args:
        query: an object of a registered model; or a picture, with `model` saying where to look. Or several of them:
            what comes back is like all, by the mean similarity.
        text: what to look for in place of a query, in at most 300 characters, with `model` too. Ranked by one
            method that has a text encoder: the one of `method`, or the first.
        field: the image field, where the model has several.
        limit: how many matches at most; SIMILAR_IMAGES["LIMIT"] by default.
        min_similarity: matches below this percentage are left out; 70 by default for copies, else 0.
        queryset: only its objects come back.
        method: rank by this method alone.
        ranking: weights by method, or the name of a profile (docs/ranking.md), in place of SIMILAR_IMAGES["RANKING"].
        mode: "similar", or "copy" for the same picture, whatever was done to it: the likest are compared as pictures.
        rerank: "keypoints" ranks the best 100 again by what keypoints prove; their pictures are read.
        exclude: objects that must not come back; the query never does.
        unlike: what the matches shall not look like, objects or pictures: half of the similarity to the one that is
            nearest is taken off.
        box: only this part of the query's picture counts: left, top, width and height in fractions, 0 to 1. A stored
            picture is read and described anew, within the bounds of an upload.
        fold: near copies of the query, and of each other, come as one, the best; see `Match.folded`.
        diversity: 0 to 1: how much likeness to give away for variety.
        distinct: a path of fields, as "product": of the objects with the same value there only the best comes, and
            none with the query's own.
        fallback: what comes where nothing is similar enough: "newest", or a callable that gets the source, a queryset
            of what may come and the limit, and returns objects. Such matches say `is_fallback`.
        request: decides, through the source's `visible`, what may come back; without one, what an
            anonymous visitor may see.
        explain: tell of each match how it came about, in `explanation`. For what does not come back, there is
            `why_not`.

    Returns:
        Matches, best first. Empty when the query is not indexed yet, or not visible.

    Raises:
        NotRegistered: the model or field is not a source.
        UnreadableImage: the file is no picture that can be read.
        SearchTimeout: describing the picture took longer than SIMILAR_IMAGES["REQUEST_TIMEOUT"].
        ValueError: the arguments make no sense, or not together; the message says why.
    """
    search = plan.plan(query, model=model, queryset=queryset, **options)
    return _matches(search.source, search.run(), search.allowed[-1], search.weights if explain else None)


def similar_among(source: ImageSource, item: models.Model, objects: models.QuerySet[Any], *, limit: int) -> list[Match]:
    """The matches of an object among these, explained, for callers that say themselves who may see what."""
    search = among(source, item, objects, limit=limit)
    return _matches(source, search.run(), objects, search.weights)


def among(source: ImageSource, item: models.Model, objects: models.QuerySet[Any], *, limit: int) -> plan.Search:
    """The search of `similar_among`."""
    return plan.Search(
        source=source,
        examples=[item],
        weights=ranking.resolve_weights(),
        allowed=[objects],
        excluded=[item.pk],
        limit=limit,
    )


def _matches(
    source: ImageSource,
    ranked: list[candidates.ScoredCandidate],
    objects: models.QuerySet[Any],
    explained_by: Ranking | None,
) -> list[Match]:
    """Fetch the ranked objects from a queryset, with its select_related and annotations, in one query.

    An object whose file was changed past the hooks is left out until the sweep has seen it.
    """
    pks = [one.candidate.object_id for one in ranked]
    found = {source.object_id(item.pk): item for item in source.as_filterable(objects).filter(pk__in=pks)}
    return [
        Match(
            source=source,
            object=found[candidate.object_id],
            similarity=round(similarity, 1),
            scores={name: round(score, 1) for name, score in scores.items()},
            distances=candidate.distances,
            verdict=verdict,
            folded=folded,
            is_fallback=not scores,
            explanation=Explanation(candidate.found_by, {name: explained_by[name] for name in scores})
            if explained_by
            else None,
        )
        for similarity, candidate, scores, verdict, folded in ranked
        if candidate.object_id in found and source.get_file_name(found[candidate.object_id]) == candidate.file_name
    ]
