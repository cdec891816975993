"""What other code asks for: the matches of an object, a picture or a text, for whoever may see them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Count
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest
from django.utils.translation import gettext as _

from . import choosing, conf, copies, images, nearest, profiles, registry, reranking, signatures, steering, versions
from .models import IndexedImage, MethodVersion
from .registry import ImageSource

if TYPE_CHECKING:
    from .measures.verdict import Verdict

MODES = ("similar", "copy")

TEXT_LENGTH = 300
"""The most characters of a text to search with."""


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
        return self.source.key_of(self.object)

    @property
    def url(self) -> str:
        """The object's own page, empty where it has none."""
        get_absolute_url = getattr(self.object, "get_absolute_url", None)
        return get_absolute_url() if get_absolute_url else ""


Example = models.Model | images.Readable
"""An object, or a picture in an open binary file."""


def similar_to(
    query: Example | Sequence[Example] | None = None,
    *,
    text: str | None = None,
    model: type[models.Model] | str | None = None,
    field: str | None = None,
    limit: int | None = None,
    min_similarity: float | None = None,
    queryset: models.QuerySet[Any] | None = None,
    method: str | None = None,
    ranking: nearest.Ranking | str | None = None,
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
    explain: bool = False,
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
        SearchTimeout: describing the picture took longer than SIMILAR_IMAGES["SEARCH_TIMEOUT"].
        ValueError: the arguments make no sense, or not together; the message says why.
    """
    search = plan(
        query,
        text=text,
        model=model,
        field=field,
        limit=conf.get().limit if limit is None else limit,
        min_similarity=min_similarity,
        queryset=queryset,
        method=method,
        ranking=ranking,
        mode=mode,
        rerank=rerank,
        exclude=exclude,
        unlike=unlike,
        box=box,
        fold=fold,
        diversity=diversity,
        distinct=distinct,
        fallback=fallback,
        request=request,
    )
    return _matches(search.source, search.run(), search.allowed[-1], search.weights if explain else None)


Subject = models.Model | bytes | str

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
    min_similarity: float
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
        likes: list[list[nearest.Operand]],
        unlikes: list[list[nearest.Operand]],
        limit: int,
        min_similarity: float,
    ) -> list[nearest.Ranked]:
        records = self.records([operand for operands in likes for operand in operands])
        return choosing.chosen(
            self.source,
            self.choice,
            lambda limit, records: steering.scored(self.source, likes, unlikes, self.weights, records, limit),
            records,
            {operand.form.name: operand.form for operand in likes[0]},
            limit,
            min_similarity,
        )

    def records(self, operands: list[nearest.Operand]) -> models.QuerySet[IndexedImage]:
        """The records that may come back."""
        records = nearest.records_of(self.source, self.allowed, self.excluded, operands)
        if not self.choice.distinct:
            return records
        objects = [example.pk for example in self.examples if isinstance(example, models.Model)]
        return nearest.among(self.source, records, choosing.others(self.source, objects, self.choice.distinct))

    def operands(self, example: Subject, box: images.Box | None = None) -> list[nearest.Operand]:
        """The signatures of an example; none of an object that is not indexed, or may not be seen."""
        if not isinstance(example, models.Model):
            return nearest.described(example, self.source, self.weights, box)
        if box is None:
            return nearest.stored(self.source, example, self.weights, self.allowed[0])
        data = steering.file_of(self.source, example, self.allowed[0])
        return nearest.described(data, self.source, self.weights, box) if data else []


PROOFS = {"copy": (copies.POOL, copies.judged), "keypoints": (reranking.BEST, reranking.lifted)}
"""How pictures are compared after a search, and with how many candidates."""


def plan(
    query: Example | Sequence[Example] | None,
    *,
    text: str | None,
    model: type[models.Model] | str | None,
    field: str | None,
    limit: int,
    min_similarity: float | None,
    queryset: models.QuerySet[Any] | None,
    method: str | None,
    ranking: nearest.Ranking | str | None,
    mode: str = "similar",
    rerank: str | None = None,
    exclude: Iterable[models.Model],
    unlike: Iterable[Example],
    box: Sequence[float] | None,
    fold: bool,
    diversity: float,
    distinct: str,
    fallback: steering.Fallback | None,
    request: HttpRequest | None,
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
    proof = proof_of(mode, rerank, by_text=text is not None)
    if proof and (len(given) != 1 or box is not None):
        raise ValueError(_("Pictures are compared with one whole picture: leave out mode and rerank."))
    if text is not None:
        weights = {text_method(method, ranking): 1.0}
    elif proof == "copy" and method is None and ranking is None:
        weights = copies.weights(signatures.enabled())
    else:
        weights = weights_of(method, ranking)
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
        source,
        [_subject(example) for example in given] if text is None else [clean_text(text)],
        weights,
        [visible] if queryset is None else [visible, queryset],
        [item.pk for item in (*exclude, *objects)],
        limit,
        least,
        choice,
        [_subject(example) for example in unwanted],
        None if box is None else steering.checked(box),
        fallback,
        proof,
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


def proof_of(mode: str, rerank: str | None, *, by_text: bool = False) -> str | None:
    """Which of PROOFS a caller asks for.

    Raises:
        ValueError: there is no such mode or rerank, or they make no sense together or by text.
    """
    if mode not in MODES:
        message = _("There is no mode “%(name)s”; there are: %(known)s.")
        raise ValueError(message % {"name": mode, "known": ", ".join(MODES)})
    if rerank not in (None, "keypoints"):
        message = _("There is no rerank “%(name)s”; there is: %(known)s.")
        raise ValueError(message % {"name": rerank, "known": "keypoints"})
    if mode == "copy" and rerank:
        raise ValueError(_("A search for copies is proven already; leave out rerank."))
    proof = "copy" if mode == "copy" else rerank
    if proof and by_text:
        raise ValueError(_("A text has no picture to compare: leave out mode and rerank."))
    return proof


def similar_among(source: ImageSource, item: models.Model, objects: models.QuerySet[Any], *, limit: int) -> list[Match]:
    """The matches of an object among these, explained, for callers that say themselves who may see what."""
    search = among(source, item, objects, limit=limit)
    return _matches(source, search.run(), objects, search.weights)


def among(source: ImageSource, item: models.Model, objects: models.QuerySet[Any], *, limit: int) -> Search:
    """The search of `similar_among`."""
    return Search(source, [item], weights_of(), [objects], [item.pk], limit, 0)


def weights_of(method: str | None = None, ranking: nearest.Ranking | str | None = None) -> dict[str, float]:
    """The weights by method that a caller asks for, without those of zero.

    Raises:
        ValueError: a method is not enabled, or the weights make no sense; the message says what would.
    """
    if method is not None and ranking is not None:
        raise ValueError(_("Give either a method or a ranking, not both."))
    enabled = signatures.enabled()
    weights = (
        {method: 1.0}
        if method is not None
        else profiles.weights(conf.get().ranking if ranking is None else ranking, enabled)
    )
    for name in weights:
        if name not in enabled:
            message = _("There is no method “%(name)s” here; there are: %(known)s.")
            raise ValueError(message % {"name": name, "known": ", ".join(enabled)})
    if not conf.is_ranking(weights):
        raise ValueError(_("A ranking must give at least one method a weight above 0, and none a negative one."))
    return {name: float(weight) for name, weight in weights.items() if weight}


def text_methods() -> list[str]:
    """The names of the methods that a text can be searched by."""
    return [name for name, method in signatures.enabled().items() if method.takes_text]


def text_method(method: str | None = None, ranking: nearest.Ranking | str | None = None) -> str:
    """The method by which a text is searched.

    Raises:
        ValueError: there is none, or not the one that is asked for; the message says what would.
    """
    known = text_methods()
    if not known:
        message = _("No method here understands text: set “text_file” and “tokenizer” of one in %(setting)s.")
        raise ValueError(message % {"setting": "SIMILAR_IMAGES['METHODS']"})
    if ranking is not None:
        raise ValueError(_("A search by text has no ranking; it goes by one method."))
    if method is not None and method not in known:
        message = _("The method “%(name)s” does not understand text; these do: %(known)s.")
        raise ValueError(message % {"name": method, "known": ", ".join(known)})
    return method or known[0]


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


def visible_object(source: ImageSource, pk: str, request: HttpRequest | None) -> Any:
    """The object with this primary key, None where there is none that the visitor may see."""
    return one_of(nearest.plain(source, source.visible_to(request)), pk)


def one_of(objects: models.QuerySet[Any], pk: str) -> Any:
    """The object with this primary key, None where there is none."""
    if "\0" in pk:  # Postgres has no such texts
        return None
    try:
        return objects.filter(pk=pk).first()
    except (ValueError, ValidationError):  # no key of this model looks like that
        return None


def status_of(source: ImageSource, pk: Any) -> str:
    """Where the image of an object stands: a status of its record; "missing" where it has none."""
    record = IndexedImage.objects.of(source).filter(object_id=source.object_id(pk))
    return record.values_list("status", flat=True).first() or "missing"


def _matches(
    source: ImageSource,
    ranked: list[nearest.Ranked],
    objects: models.QuerySet[Any],
    explained_by: nearest.Ranking | None,
) -> list[Match]:
    """Fetch the ranked objects from a queryset, with its select_related and annotations, in one query.

    An object whose file was changed past the hooks is left out until the sweep has seen it.
    """
    pks = [one.candidate.object_id for one in ranked]
    found = {source.object_id(item.pk): item for item in nearest.plain(source, objects).filter(pk__in=pks)}
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
        if candidate.object_id in found and source.file_name(found[candidate.object_id]) == candidate.file_name
    ]


def status(request: HttpRequest) -> dict[str, Any]:
    """How many records of every source are in which state, and by which methods they are searched.

    Staff counts all records; other visitors those of the objects that they may see.
    """
    staff = getattr(getattr(request, "user", None), "is_staff", False)
    enabled = signatures.enabled()
    ranking = profiles.weights(conf.get().ranking, enabled)

    def records_of(source: ImageSource) -> models.QuerySet[IndexedImage]:
        return IndexedImage.objects.of(source) if staff else nearest.of_objects(source, source.visible_to(request))

    return {
        "sources": [
            {
                "source": source.label,
                "records": dict.fromkeys(IndexedImage.Status.values, 0)
                | dict(records_of(source).values_list("status").annotate(Count("pk"))),
            }
            for source in registry.sources()
        ],
        "methods": [
            {
                "name": method.name,
                "version": method.version,
                "dimensions": method.dimensions,
                "metric": method.metric,
                "weight": ranking.get(method.name, 0),
            }
            for method in enabled.values()
        ],
        "indexes": [
            {
                "source": source.label,
                "method": form.name,
                "version": form.version,
                "next_version": "" if form.version == wanted[form.name].version else wanted[form.name].version,
                "search": "hnsw" if isinstance(form, MethodVersion) and form.has_index else "exact",
            }
            for source in registry.sources()
            for wanted in [versions.wanted(source)]
            for form in versions.serving(source).values()
        ],
    }
