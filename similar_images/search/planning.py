"""A search before it is run: what callers ask for, checked, and what is to be done for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext as _

from .. import conf, images, registry, signatures
from ..models import IndexedImageQuerySet
from ..registry import ImageSource
from . import choosing, copies, nearest, queries, rankings, reranking, steering
from .queries import Operand
from .rankings import Ranking

MODES = ("similar", "copy")
RERANKS = ("keypoints",)

TEXT_LENGTH = 300
"""The most characters of a text to search with."""


Example = models.Model | images.Readable
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
    fallback: steering.Fallback | None
    request: HttpRequest | None


EACH = choosing.Choice(fold=False)
"""Every match for itself, best first."""


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
    choice: choosing.Choice = EACH
    unlike: Sequence[Subject] = ()
    box: images.Box | None = None
    fallback: steering.Fallback | None = None
    proof: str | None = None

    def run(self) -> list[nearest.Ranked]:
        """What is found, best first.

        Raises:
            UnreadableImage, SearchTimeout: as `similar_to`.
        """
        best = self._best()
        if best or self.fallback is None:
            return best
        return steering.fallen_back(self.source, self.fallback, self.allowed, self.excluded, self.limit)

    def _best(self) -> list[nearest.Ranked]:
        likes, unlikes = (
            list(filter(None, (self.operands(example, box) for example in group)))
            for group, box in ((self.examples, self.box), (self.unlike, None))
        )
        if not likes:
            return []
        if self.proof is None:
            return self._chosen(likes, unlikes, self.limit, self.min_similarity)
        count, prove = PROOFS[self.proof]
        found = self._chosen(likes, unlikes, max(self.limit, count), 0)
        proven = prove(self.source, self.examples[0], likes[0], found)
        return nearest.at_least(self.min_similarity, proven)[: self.limit]

    def _chosen(
        self,
        likes: list[list[Operand]],
        unlikes: list[list[Operand]],
        limit: int,
        min_similarity: float,
    ) -> list[nearest.Ranked]:
        records = self.records([operand for operands in likes for operand in operands])
        return choosing.chosen(
            self.source,
            self.choice,
            lambda count, among: steering.scored(self.source, likes, unlikes, self.weights, among, count),
            records,
            {operand.form.name: operand.form for operand in likes[0]},
            limit,
            min_similarity,
        )

    def records(self, operands: list[Operand]) -> IndexedImageQuerySet:
        """The records that may come back."""
        records = nearest.records_of(self.source, self.allowed, self.excluded, operands)
        if not self.choice.distinct:
            return records
        objects = [example.pk for example in self.examples if isinstance(example, models.Model)]
        return records.among(self.source, choosing.others(self.source, objects, self.choice.distinct))

    def operands(self, example: Subject, box: images.Box | None = None) -> list[Operand]:
        """The signatures of an example; none of an object that is not indexed, or may not be seen."""
        if not isinstance(example, models.Model):
            return queries.described(example, self.source, self.weights, box)
        if box is None:
            return queries.stored(self.source, example, self.weights, self.allowed[0])
        data = steering.file_of(self.source, example, self.allowed[0])
        return queries.described(data, self.source, self.weights, box) if data else []


PROOFS = {"copy": (copies.POOL, copies.judged), "keypoints": (reranking.BEST, reranking.lifted)}
"""How pictures are compared after a search, and with how many candidates."""


def plan(
    query: Example | Sequence[Example] | None = None,
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
    fallback: steering.Fallback | None = None,
    request: HttpRequest | None = None,
) -> Search:
    """Check the arguments of `similar_to` and make a search of them.

    Raises:
        NotRegistered, UnreadableImage, ValueError: as `similar_to`.
    """
    given, unwanted = examples_of(query), list(unlike)
    objects = [example for example in (*given, *unwanted) if isinstance(example, models.Model)]
    if bool(given) == (text is not None):
        raise ValueError("Say what to search by: similar_to(object), similar_to(file, model=…) or text=…, model=….")
    if given and isinstance(given[0], models.Model):
        source = registry.get(given[0].__class__, field)  # not type(): request.user is a lazy object of another
    elif model is None:
        raise ValueError("To search by a picture or text, say where: similar_to(file, model=Product).")
    else:
        source = registry.get(model, field)
    for item in objects:
        if not isinstance(item, source.model):
            raise ValueError(f"{item!r} is not a {source.model.__name__}, among which is searched.")
    one_whole = len(given) == 1 and box is None
    proof = proof_of(mode, rerank, by_text=text is not None, one_whole=one_whole, diversity=diversity)
    if text is not None:
        shares = {rankings.text_method(method, ranking): 1.0}
    elif proof == "copy" and method is None and ranking is None:
        shares = copies.weights(signatures.enabled())
    else:
        shares = rankings.weights_of(method, ranking)
    limit = conf.get().limit if limit is None else limit
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}.")
    if box is not None and len(given) != 1:
        raise ValueError(_("A box is a part of one picture: it takes a query that is one object or file."))
    if fallback is not None and fallback != "newest" and not callable(fallback):
        raise ValueError(_("fallback must be “newest” or a callable."))
    # Who looks for copies wants to see each.
    choice = choosing.Choice(fold and proof != "copy", diversity, distinct, by_picture=text is None)
    choice.check(source)
    visible = source.visible_to(request)
    least = min_similarity if min_similarity is not None else copies.MIN_SIMILARITY if proof == "copy" else 0
    return Search(
        source=source,
        examples=[_subject(example) for example in given] if text is None else [clean_text(text)],
        weights=shares,
        allowed=[visible] if queryset is None else [visible, queryset],
        excluded=[item.pk for item in (*exclude, *objects)],
        limit=limit,
        min_similarity=least,
        choice=choice,
        unlike=[_subject(example) for example in unwanted],
        box=None if box is None else steering.checked(box),
        fallback=fallback,
        proof=proof,
    )


def examples_of(query: Example | Sequence[Example] | None) -> list[Example]:
    """The objects and pictures of a query, which may be one of them."""
    if query is None:
        return []
    return list(query) if isinstance(query, Sequence) else [query]


def _subject(example: Example) -> models.Model | bytes:
    if isinstance(example, models.Model):
        return example
    return images.read_bounded(example, max_bytes=conf.get().search_max_bytes)


def proof_of(mode: str, rerank: str | None, *, by_text: bool, one_whole: bool, diversity: float) -> str | None:
    """Which of PROOFS a caller asks for, whose query is a text, or one whole picture, or neither.

    Raises:
        ValueError: there is no such mode or rerank, or they make no sense together or with the rest.
    """
    if mode not in MODES:
        message = _("There is no mode “%(name)s”; there are: %(known)s.")
        raise ValueError(message % {"name": mode, "known": ", ".join(MODES)})
    if rerank not in (None, *RERANKS):
        message = _("There is no rerank “%(name)s”; there is: %(known)s.")
        raise ValueError(message % {"name": rerank, "known": ", ".join(RERANKS)})
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
