"""Copies: the same image, however edited, found by signatures and verified by comparing the images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from django.db import models

from ... import conf, plugins
from ...imaging.files import sha256_of
from ...models import IndexedImage
from ...ranking_presets import COPY_SIGNATURE_WEIGHT, RANKING_PRESETS
from ...sources.source import ImageSource
from ..candidates import ScoredCandidate, ScoredResults, ranked_by_similarity
from ..query_vectors import QueryVector
from ..ranking import resolve_weights
from .image_pairs import compare_candidates
from .stored_keypoints import choose_by_keypoints, load_keypoints

if TYPE_CHECKING:
    from ...measures.base import ComparisonImage
    from ...measures.verdict import Verdict

COPY_THRESHOLD = 70.0
"""Minimum similarity of a search for copies, in percent: between what is verified and what is not."""

MAX_VERIFIED = 16
"""Images that are read and compared, at most; each takes some 0.3 s."""

MAX_SCREENED = 32
"""Candidates whose stored keypoints are looked at, at most; each takes some 5 ms."""

MAX_SCREENING_SHARE = 0.25
"""Share of SIMILAR_IMAGES["REQUEST_TIMEOUT"] that this may take: on a busy machine, the rest is for comparing."""

COPY_CANDIDATES = 60
"""Candidates by signatures, from which those are selected."""

SAME_OBJECT_RANGE, UNVERIFIED_RANGE = (60.0, 69.0), (0.0, 59.0)
"""Percentages of another image that shows the same object, and of anything else; those of a copy are above."""

HASH_WEIGHTS = dict.fromkeys(("phash", "dhash", "ahash", "blockmean"), 0.1)
"""Weights of the hash methods, where they are enabled, beside those of the preset."""


def copy_weights(enabled: Collection[str]) -> dict[str, float]:
    """Return the weights by which candidates are found.

    They are those of the preset "copy", of hashes, and of methods that `finds_copies`, as far as these are enabled,
    else SIMILAR_IMAGES["RANKING"].
    """
    signatures = dict.fromkeys(plugins.copy_methods(), COPY_SIGNATURE_WEIGHT)
    weights = {**RANKING_PRESETS["copy"], **HASH_WEIGHTS, **signatures}
    return {name: weight for name, weight in weights.items() if name in enabled} or resolve_weights()


def verify_copies(
    source: ImageSource,
    query: models.Model | bytes | str,
    vectors: list[QueryVector],
    results: list[ScoredCandidate],
) -> ScoredResults:
    """Rank results by how surely each is the same image, with a verdict on those that were compared.

    The same file is known by its SHA-256, and not read.
    """
    from ...measures.base import LONG_SIDE

    if isinstance(query, str) or not results:
        return ScoredResults(results)
    query_id = vectors[0].record_id
    same_files = _same_files(query, query_id, results)
    ids = [scored.candidate.record_id for scored in results]
    stored = load_keypoints([query_id, *ids])
    selected = [
        scored
        for scored in select_for_verification(results, MAX_SCREENED if stored else MAX_VERIFIED)
        if scored.candidate.record_id not in same_files
    ]

    def choose(load_query: Callable[[], ComparisonImage | None]) -> list[ScoredCandidate]:
        seconds = MAX_SCREENING_SHARE * conf.get().request_timeout
        return choose_by_keypoints(selected, stored, query_id, load_query, seconds)[:MAX_VERIFIED]

    verdicts = compare_candidates(source, query, selected, _compare, long_side=LONG_SIDE, choose=choose)
    verdicts |= dict.fromkeys(same_files, same_file_verdict())
    ranked = []
    for scored in results:
        verdict = verdicts.get(scored.candidate.record_id)
        similarity = copy_similarity(verdict, scored.similarity)
        ranked.append(scored._replace(similarity=similarity, verdict=verdict))
    return ranked_by_similarity(ranked, is_complete=verdicts.is_complete)


def select_for_verification(results: Sequence[ScoredCandidate], count: int) -> list[ScoredCandidate]:
    """Pick candidates round-robin from the blended ranking and from each method's own.

    An edit, such as to grayscale, can ruin one method but not another.
    """
    methods = dict.fromkeys(name for scored in results for name in scored.scores)
    rankings = [results, *(_sort_by_method(results, name) for name in methods)]
    turns = chain.from_iterable(zip(*rankings, strict=True))
    return list({scored.candidate.record_id: scored for scored in turns}.values())[:count]


def _sort_by_method(results: Sequence[ScoredCandidate], name: str) -> list[ScoredCandidate]:
    return sorted(results, key=lambda scored: -scored.scores.get(name, 0.0))


def _compare(a: ComparisonImage, b: ComparisonImage, scored: ScoredCandidate) -> Verdict:
    from ...measures.verdict import judge_pair

    return judge_pair(a, b, lambda: scored.similarity)


def same_file_verdict() -> Verdict:
    """Return the verdict on two files of the same bytes."""
    from ...measures.verdict import Verdict

    return Verdict("same-file", probability=1.0)


def copy_similarity(verdict: Verdict | None, similarity: float) -> float:
    """Return how surely it is the same image, in percent.

    That of a verified copy is its probability, COPY_THRESHOLD or more; another image of the same object has 60 to 69,
    rising with the probability, and anything else less, rising with the signatures' own `similarity`.
    """
    if verdict is None or verdict.kind in ("alike", "unrelated"):
        (low, high), share = UNVERIFIED_RANGE, similarity / 100
    elif verdict.kind == "same-object":
        (low, high), share = SAME_OBJECT_RANGE, verdict.probability / (COPY_THRESHOLD / 100)
    else:
        return 100 * verdict.probability
    return low + (high - low) * min(1.0, max(0.0, share))


def _same_files(query: models.Model | bytes, query_record: int, results: list[ScoredCandidate]) -> set[int]:
    """Return the ids of the records whose file has the very bytes of the query."""
    ids = [scored.candidate.record_id for scored in results]
    digests = dict(IndexedImage.objects.filter(pk__in=[*ids, query_record]).values_list("pk", "sha256"))
    digest = sha256_of(query) if isinstance(query, bytes) else digests.get(query_record)
    return {pk for pk in ids if digest and digests.get(pk) == digest}
