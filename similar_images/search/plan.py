"""A search before it is run: what callers ask for, checked, and what is to be done for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict, cast

from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext as _

from .. import conf, plugins, registry
from ..imaging import decode
from ..models import IndexedImage, IndexedImageQuerySet
from ..registry import ImageSource
from . import candidates, multi_query, near_duplicates, query_vectors
from . import ranking as rankings
from .query_vectors import QueryVector
from .ranking import Ranking
from .rerank import copies, keypoints

MODES = ("similar", "copy")
RERANKER_NAMES = ("keypoints",)

TEXT_LENGTH = 300
"""The most characters of a text to search with."""


Example = models.Model | decode.Readable
"""An object, or a picture in an open binary file."""

Subject = models.Model | bytes | str
"""What is searched by, when it is read: an object, the bytes of a picture, or a text."""


class Options(TypedDict, total=False):
    """What `similar_to` may be told, wherever it is called; see there."""

    text: str | None
    field: str | None
    limit: int | None
    min_similarity: float | None
    method: str | None
    ranking: Ranking | str | None
    mode: str
    rerank: str | None
    exclude: Iterable[models.Model]
    unlike: Iterable[Example]
    box: Sequence[float] | None
    fold: bool
    diversity: float
    distinct: str
    fallback: multi_query.Fallback | None
    request: HttpRequest | None


NO_FOLDING = near_duplicates.ResultOptions(fold=False)
"""Every match for itself, best first."""


@dataclass(frozen=True)
class ResolvedQuery:
    """What is searched by: the signatures of the examples that have some, and of those that nothing shall look like;
    and which of the examples, of those that have some, are objects."""

    likes: list[list[QueryVector]]
    unlikes: list[list[QueryVector]]
    objects: list[models.Model]


@dataclass(frozen=True)
class Search:
    """A search that is yet to be run: by examples, each an object, the bytes of a picture, or a text."""

    source: ImageSource
    examples: list[Subject]
    weights: dict[str, float]
    allowed: list[models.QuerySet[Any]]
    excluded: list[Any]
    limit: int
    min_similarity: float = 0
    choice: near_duplicates.ResultOptions = NO_FOLDING
    unlike: Sequence[Subject] = ()
    box: decode.Box | None = None
    fallback: multi_query.Fallback | None = None
    proof: str | None = None

    def run(self) -> list[candidates.ScoredCandidate]:
        """What is found, best first.

        Raises:
            UnreadableImage, SearchTimeout: as `similar_to`.
        """
        asked = self.asked()
        best = self.best(asked)
        if best or self.fallback is None:
            return best
        visible = self.allowed[0]
        records = self.records(
            item
            for item in self._objects(self.examples)
            if item in asked.objects or self.source.contains(visible, item)
        )
        return multi_query.fallback_results(
            self.source, self.fallback, records, self.allowed, self.excluded, self.limit
        )

    def asked(self) -> ResolvedQuery:
        """The signatures of all examples."""
        likes = [(example, self.operands(example, self.box)) for example in self.examples]
        unlikes = [self.operands(example) for example in self.unlike]
        return ResolvedQuery(
            likes=[operands for _example, operands in likes if operands],
            unlikes=[operands for operands in unlikes if operands],
            objects=self._objects(example for example, operands in likes if operands),
        )

    def best(self, asked: ResolvedQuery) -> list[candidates.ScoredCandidate]:
        """What is like the examples, best first."""
        if not asked.likes:
            return []
        if self.proof is None:
            return self._chosen(asked, self.choice, self.limit, self.min_similarity)
        # The proof says which one of an object's pictures is the best.
        count, _prove = RERANKERS[self.proof]
        found = self._chosen(asked, replace(self.choice, distinct=""), max(self.limit, count), 0)
        best = candidates.filter_by_similarity(self.min_similarity, self.proven(asked, found))
        if self.choice.distinct:
            best = near_duplicates.deduplicate(
                best, near_duplicates.group_values(self.source, self.choice.distinct, best)
            )
        return best[: self.limit]

    def proven(self, asked: ResolvedQuery, found: list[candidates.ScoredCandidate]) -> list[candidates.ScoredCandidate]:
        """The same by what comparing the pictures says, where that is asked for."""
        if self.proof is None:
            return found
        _count, prove = RERANKERS[self.proof]
        return prove(self.source, self.examples[0], asked.likes[0], found)

    def scored(
        self, asked: ResolvedQuery, records: models.QuerySet[IndexedImage], limit: int
    ) -> list[candidates.ScoredCandidate]:
        """The candidates for so many matches among some records, best first."""
        return multi_query.score_examples(self.source, asked.likes, asked.unlikes, self.weights, records, limit)

    def records(self, objects: Iterable[models.Model]) -> IndexedImageQuerySet:
        """The records that may come back where these objects are searched by."""
        pks = [item.pk for item in objects]
        records = candidates.searchable_records(self.source, self.allowed, self.excluded, pks)
        if not self.choice.distinct:
            return records
        return records.for_objects(
            self.source, near_duplicates.exclude_same_group(self.source, pks, self.choice.distinct)
        )

    def _chosen(
        self, asked: ResolvedQuery, choice: near_duplicates.ResultOptions, limit: int, min_similarity: float
    ) -> list[candidates.ScoredCandidate]:
        return near_duplicates.select_results(
            self.source,
            choice,
            lambda count, among: self.scored(asked, among, count),
            self.records(asked.objects),
            {operand.form.name: operand.form for operand in asked.likes[0]},
            limit,
            min_similarity,
            in_order=len(asked.likes) == 1 and not asked.unlikes,
        )

    def _objects(self, examples: Iterable[Subject]) -> list[models.Model]:
        return [example for example in examples if isinstance(example, models.Model) and example.pk is not None]

    def operands(self, example: Subject, box: decode.Box | None = None) -> list[QueryVector]:
        """The signatures of an example; none of an object that is not indexed, or may not be seen."""
        if not isinstance(example, models.Model):
            return query_vectors.describe_query(example, self.source, self.weights, box)
        if box is None:
            return query_vectors.stored_query(self.source, example, self.weights, self.allowed[0])
        data = multi_query.query_file(self.source, example, self.allowed[0])
        return query_vectors.describe_query(data, self.source, self.weights, box) if data else []


RERANKERS = {
    "copy": (copies.COPY_CANDIDATES, copies.verify_copies),
    "keypoints": (keypoints.MAX_RERANKED, keypoints.boost_by_keypoints),
}
"""How pictures are compared after a search, and with how many candidates."""


def plan(
    query: Example | Iterable[Example] | None = None,
    *,
    text: str | None = None,
    model: type[models.Model] | str | None = None,
    field: str | None = None,
    limit: int | None = None,
    min_similarity: float | None = None,
    queryset: models.QuerySet[Any] | None = None,
    method: str | None = None,
    ranking: Ranking | str | None = None,
    mode: str = "similar",
    rerank: str | None = None,
    exclude: Iterable[models.Model] = (),
    unlike: Iterable[Example] = (),
    box: Sequence[float] | None = None,
    fold: bool = True,
    diversity: float = 0,
    distinct: str = "",
    fallback: multi_query.Fallback | None = None,
    request: HttpRequest | None = None,
) -> Search:
    """Check the arguments of `similar_to` and make a search of them.

    Raises:
        NotRegistered, UnreadableImage, ValueError: as `similar_to`.
    """
    given, unwanted, left_out = examples_of(query), list(unlike), list(exclude)
    objects = [example for example in (*given, *unwanted) if isinstance(example, models.Model)]
    if bool(given) == (text is not None):
        raise ValueError("Say what to search by: similar_to(object), similar_to(file, model=…) or text=…, model=….")
    if given and isinstance(given[0], models.Model):
        source = registry.get_source(given[0].__class__, field)  # not type(): request.user is a lazy object of another
    elif model is None:
        raise ValueError("To search by a picture or text, say where: similar_to(file, model=Product).")
    else:
        source = registry.get_source(model, field)
    for item in (*objects, *left_out):
        if not isinstance(item, source.model):
            raise ValueError(f"{item!r} is not a {source.model.__name__}, among which is searched.")
    if queryset is not None and not issubclass(queryset.model, source.model):
        raise ValueError(f"The queryset is of {queryset.model.__name__}, not of {source.model.__name__}.")
    one_whole = len(given) == 1 and box is None
    proof = get_reranker(mode, rerank, by_text=text is not None, one_whole=one_whole, diversity=diversity)
    if text is not None:
        shares = {rankings.text_method(method, ranking): 1.0}
    elif proof == "copy" and method is None and ranking is None:
        shares = copies.copy_weights(plugins.enabled_methods())
    else:
        shares = rankings.resolve_weights(method, ranking)
    limit = conf.get().limit if limit is None else limit
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}.")
    if box is not None and len(given) != 1:
        raise ValueError(_("A box is a part of one picture: it takes a query that is one object or file."))
    if fallback is not None and fallback != "newest" and not callable(fallback):
        raise ValueError(_("fallback must be “newest” or a callable."))
    # Who looks for copies wants to see each.
    choice = near_duplicates.ResultOptions(fold and proof != "copy", diversity, distinct, by_picture=text is None)
    choice.check(source)
    visible = source.visible_to(request)
    least = min_similarity if min_similarity is not None else copies.COPY_THRESHOLD if proof == "copy" else 0
    return Search(
        source=source,
        examples=[_subject(example) for example in given] if text is None else [clean_text(text)],
        weights=shares,
        allowed=[visible] if queryset is None else [visible, queryset],
        excluded=[item.pk for item in (*left_out, *objects)],
        limit=limit,
        min_similarity=least,
        choice=choice,
        unlike=[_subject(example) for example in unwanted],
        box=None if box is None else multi_query.clean_box(box),
        fallback=fallback,
        proof=proof,
    )


def examples_of(query: Example | Iterable[Example] | None) -> list[Example]:
    """The objects and pictures of a query, which may be one of them."""
    if query is None:
        return []
    if isinstance(query, Iterable) and not isinstance(query, models.Model) and not hasattr(query, "read"):
        return list(query)
    return [cast("Example", query)]


def _subject(example: Example) -> models.Model | bytes:
    if isinstance(example, models.Model):
        return example
    if not hasattr(example, "read"):
        raise ValueError(f"Search by an object or an open binary file, not by {example!r:.80}.")
    return decode.read_bounded(example, max_bytes=conf.get().search_max_bytes)


def get_reranker(mode: str, rerank: str | None, *, by_text: bool, one_whole: bool, diversity: float) -> str | None:
    """Which of PROOFS a caller asks for, whose query is a text, or one whole picture, or neither.

    Raises:
        ValueError: there is no such mode or rerank, or they make no sense together or with the rest.
    """
    if mode not in MODES:
        message = _("There is no mode “%(name)s”; there are: %(known)s.")
        raise ValueError(message % {"name": mode, "known": ", ".join(MODES)})
    if rerank not in (None, *RERANKER_NAMES):
        message = _("There is no rerank “%(name)s”; there is: %(known)s.")
        raise ValueError(message % {"name": rerank, "known": ", ".join(RERANKER_NAMES)})
    if mode == "copy" and rerank:
        raise ValueError(_("A search for copies is proven already; leave out rerank."))
    proof = "copy" if mode == "copy" else rerank
    if proof and by_text:
        raise ValueError(_("A text has no picture to compare: leave out mode and rerank."))
    if proof and not one_whole:
        raise ValueError(_("Pictures are compared with one whole picture: leave out mode and rerank."))
    if proof and diversity:
        raise ValueError(_("What comparing pictures puts in order is not varied: leave out diversity, or this."))
    return proof


def clean_text(text: str) -> str:
    """The text without space around it.

    Raises:
        ValueError: it is empty or longer than TEXT_LENGTH.
    """
    text = text.strip()
    if not text:
        raise ValueError(_("Write what to look for."))
    if len(text) > TEXT_LENGTH:
        raise ValueError(_("Write at most %(limit)d characters.") % {"limit": TEXT_LENGTH})
    return text
