"""Matches: what comes back of a search, for whoever may see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest
from django.utils.functional import cached_property

from .. import conf
from ..imaging.decode import UnreadableImage
from ..imaging.timeouts import SearchTimeout
from ..sources.source import ImageSource
from ..thumbnails import Thumbnail, ThumbnailBatch
from .candidates import ScoredCandidate, ScoredResults
from .options import Example, SearchOptions, accepts_search_options
from .plan import plan_search
from .ranking import Ranking, resolve_weights
from .resemblance import Resemblance, describe_known
from .search import Search

if TYPE_CHECKING:
    from ..measures.verdict import Verdict


@dataclass(frozen=True)
class Explanation:
    """The methods that found a match, and the weights of those that scored it."""

    found_by: Sequence[str]
    weights: dict[str, float]


@dataclass(frozen=True)
class Match:
    """One object that looks like the query.

    Attributes:
        source: the source of its image.
        object: what comes back: the owner of the image, where the source has owners, or else the registered object.
        image_object: the registered object, whose image it is.
        similarity: 0 to 100 percent, with one decimal.
        scores: the same by method.
        distances: distances by method, in its own metric, 0 for the same image.
        verdict: how its image relates to the query's, where a search for copies compared the two.
        folded: number of near-duplicates that were left out for this match.
        near_duplicates: these, where the caller opens them.
        is_fallback: whether it is no match, but shown because nothing is similar enough, at 0% and without scores.
        explanation: how it came about, where that was asked for.
        width: width of its image in pixels, as it was indexed.
        height: its height.
        thumbnails: the thumbnails of all matches, which are prepared together.
    """

    source: ImageSource
    object: Any
    image_object: Any
    similarity: float
    scores: dict[str, float]
    distances: dict[str, float]
    verdict: Verdict | None = None
    folded: int = 0
    near_duplicates: Sequence[Match] = ()
    is_fallback: bool = False
    explanation: Explanation | None = None
    width: int | None = None
    height: int | None = None
    thumbnails: ThumbnailBatch | None = field(default=None, repr=False, compare=False)

    @property
    def image(self) -> FieldFile:
        """File of the image field."""
        file: FieldFile = getattr(self.image_object, self.source.field_name)
        return file

    @cached_property
    def thumbnail(self) -> Thumbnail | None:
        """The thumbnail of the image; None where the source has no thumbnailer, or this made none."""
        return self.thumbnails.make(self.image) if self.thumbnails else None

    @property
    def is_less_similar(self) -> bool:
        """True where it is below the similarity that pages show by default."""
        return self.similarity < conf.get().min_similarity_on("page")

    @property
    def resemblance(self) -> Resemblance | None:
        """The resemblance to the image that was searched by, in a sentence; None for what is no match."""
        return describe_known(self.scores, self.verdict)

    @property
    def title(self) -> str:
        """The object in words."""
        return self.source.get_title(self.object)

    @property
    def key(self) -> str:
        """Name of the object's image where two are compared: app_label.model.field:pk."""
        return self.source.format_key(self.image_object)

    @property
    def url(self) -> str:
        """The object's own page, empty where it has none."""
        return self.source.get_url(self.object)


class Matches(list[Match]):
    """Matches, best first.

    `is_complete` is False where time ran out, or a storage was down, before all images were compared that had to be:
    then matches may be missing. Only a search that compares images can be cut short.
    """

    def __init__(self, matches: Iterable[Match] = (), *, is_complete: bool = True) -> None:
        super().__init__(matches)
        self.is_complete = is_complete


@accepts_search_options
def similar_to(query: Example | Iterable[Example] | None = None, **options: Any) -> Matches:
    """Find the objects that look most like an object or an image in an open binary file, or that fit a text.

    Args:
        query: an object of a registered model, or the owner of some, by all its images; or an image, with `model`
            saying where to look. Or several of them: matches are then similar to all, by the mean.
        **options: the keyword arguments in the signature; docs/reference/python-api.md says what each does.

    Returns:
        Matches, best first. Empty where the query is not indexed yet, or not visible. `is_complete` is False where a
        search that compares images had no time for all of them.

    Raises:
        NotRegistered: the model or field is not a source.
        AmbiguousField: the model has several image fields, and `field` names none.
        UnreadableImage: the file is no image that can be read.
        SearchTimeout: describing the image took longer than SIMILAR_IMAGES["REQUEST_TIMEOUT"].
        TypeError: there is no option of a name, or `queryset` is none.
        ValueError: the options make no sense, or not together; the message says why.
    """
    return run_search(plan_search(query, SearchOptions.from_arguments("similar_to", options)))


def run_search(search: Search) -> Matches:
    """Run a search, and return its matches as `similar_to` does."""
    explained_by = search.weights if search.options.explain else None
    return load_matches_of_each(search, [search.run()], explained_by)[0]


def similar_for_editors(item: models.Model, request: HttpRequest, limit: int) -> list[Match]:
    """Return what is similar to an object, near-duplicates each, of what the user of a request may see as an editor.

    Nothing below the similarity that pages show by default; and nothing at all where an image can't be read in time.
    """
    options = {"limit": limit, "fold": False, "min_similarity": conf.get().min_similarity_on("page")}
    try:
        return similar_to(item, request=request, for_editors=True, **options)
    except (SearchTimeout, UnreadableImage):
        return []


def search_among(
    source: ImageSource,
    item: models.Model | None,
    objects: models.QuerySet[Any],
    owners: Sequence[models.QuerySet[Any]],
    *,
    limit: int,
    folds: bool = False,
    min_similarity: float = 0,
) -> Search:
    """Return the search by an object among others, for callers that decide who may see what.

    Args:
        source: the source of the images.
        item: an object, or the owner of some; None for the template of a batch.
        objects: the objects that may come back, and be searched by.
        owners: the owners that may come back, by model.
        limit: number of matches.
        folds: whether near-duplicates are grouped.
        min_similarity: similarity in percent that matches have at least.
    """
    is_owner = item is not None and source.is_owner(item)
    return Search(
        source=source,
        examples=[source.images_of(item, objects) if item is not None else []],
        weights=resolve_weights(),
        allowed=[objects],
        excluded=[] if is_owner or item is None else [item.pk],
        limit=limit,
        min_similarity=min_similarity,
        owners=owners,
        excluded_owners=[source.ownership.owner_key(item)] if source.ownership and is_owner and item else [],
        options=SearchOptions(fold=folds),
    )


def load_matches_of_each(
    search: Search, found: Sequence[ScoredResults], explained_by: Ranking | None, *, is_for_editors: bool = False
) -> list[Matches]:
    """Fetch the objects of the results of several searches, with the select_related and annotations of their queryset.

    One query for the registered objects, and one for their owners by model. An object whose file was changed without a
    signal is left out until the sweep has seen it.

    Args:
        search: one of the searches, which differ in what is searched by alone.
        found: the results of each.
        explained_by: the weights to explain matches by, if they are to be explained.
        is_for_editors: whether matches come with their near-duplicates, and images that have no owner as themselves.
    """
    shown: Iterable[ScoredCandidate] = (scored for results in found for scored in results)
    if is_for_editors:
        shown = (one for scored in shown for one in (scored, *scored.near_duplicates))
    files = {scored.candidate.object_id: scored.candidate.file_name for scored in shown}
    source = search.source
    images = source.current_objects(search.allowed[-1], files)
    objects = source.load_results(images.values(), search.owners)
    if is_for_editors:
        objects = {image.pk: image for image in images.values()} | dict(objects)
    thumbnails = source.make_thumbnails(images.values()) if source.thumbnail else None
    loaded = _LoadedObjects(source, images, objects, thumbnails, explained_by, is_for_editors)
    return [Matches(loaded.make_matches(results), is_complete=results.is_complete) for results in found]


@dataclass(frozen=True)
class _LoadedObjects:
    """The objects of results: registered ones by id, and what comes back by their primary key."""

    source: ImageSource
    images: Mapping[str, Any]
    objects: Mapping[Any, Any]
    thumbnails: ThumbnailBatch | None
    explained_by: Ranking | None
    opens_near_duplicates: bool

    def make_matches(self, results: Iterable[ScoredCandidate]) -> Iterator[Match]:
        """Yield the matches of those results whose objects are loaded."""
        weights = self.explained_by
        for scored in results:
            candidate, scores = scored.candidate, scored.scores
            image = self.images.get(candidate.object_id)
            if image is None or image.pk not in self.objects:
                continue
            yield Match(
                source=self.source,
                object=self.objects[image.pk],
                image_object=image,
                similarity=round(scored.similarity, 1),
                scores={name: round(score, 1) for name, score in scores.items()},
                distances=dict(candidate.distances),
                verdict=scored.verdict,
                folded=len(scored.near_duplicates),
                near_duplicates=[*self.make_matches(scored.near_duplicates)] if self.opens_near_duplicates else (),
                is_fallback=not scores,
                explanation=Explanation([*candidate.found_by], {name: weights[name] for name in scores})
                if weights
                else None,
                width=candidate.width,
                height=candidate.height,
                thumbnails=self.thumbnails,
            )
