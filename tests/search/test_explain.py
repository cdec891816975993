"""Explanations: how a match came about, and why another object is not among the matches."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.test import RequestFactory
from django.utils import timezone
from django.utils.formats import date_format

import similar_images
from similar_images import registry
from similar_images.models import IndexedImage, Mark, Signature
from similar_images.search import candidates, explain, query_vectors, search
from similar_images.search.matches import Explanation
from similar_images.search.options import SearchOptions
from similar_images.search.plan import plan_search
from similar_images.search.sql import KnnRows
from similar_images.signatures.palette import Palette
from tests import drawing
from tests.items import save_gray
from tests.testapp.models import NamedPicture, Picture, Shelf

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]


def request_by(user: Any) -> Any:
    request = RequestFactory().get("/")
    request.user = user
    return request


def code_and_rank(query: Any, other: Any, **options: Any) -> tuple[str, int | None]:
    reason = similar_images.why_not(query, other, **options)
    assert reason.text.endswith((".", ".)"))
    return reason.code, reason.rank


def test_explain__names_methods_and_weights_of_a_match(make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"color": {}, "tests.methods.Mean": {}}, RANKING={"color": 3, "mean": 1})
    item, _other = make_picture(1), make_picture(2)
    index_now()
    plain, explained = similar_images.similar_to(item), similar_images.similar_to(item, explain=True)
    assert plain[0].explanation is None
    assert explained[0].explanation == Explanation(["color", "mean"], {"color": 3, "mean": 1})
    assert (explained[0].scores, explained[0].distances) == (plain[0].scores, plain[0].distances)


def test_explain__names_only_methods_that_found_the_match(make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"color": {}, "tests.methods.Mean": {}}, RANKING={"color": 1, "mean": 1})
    item, *_others = [make_picture(seed) for seed in range(5)]
    index_now()
    source = registry.get_source(Picture)
    operands = query_vectors.stored_queries(source, [item], ["color", "mean"])[item]
    records = candidates.searchable_records(source, [Picture.objects.all()], [item.pk])
    rows = candidates.search_candidates(source, operands, records, {"color": 4, "mean": 1}, 1)
    results = [scored.candidate for scored in candidates.score_rows(operands, rows, {"color": 1, "mean": 1})]
    nearest = min(results, key=lambda candidate: candidate.distances["mean"])
    assert {candidate.object_id: candidate.found_by for candidate in results} == {
        candidate.object_id: ["color", "mean"] if candidate is nearest else ["color"] for candidate in results
    }
    assert len(results) == 4


def test_explain__takes_no_more_queries(gray_pictures: list[Picture], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(4):
        similar_images.similar_to(gray_pictures[0], explain=True)


def test_why_not__of_a_match_and_of_the_query(gray_pictures: list[Picture]) -> None:
    (first, *_rest) = similar_images.similar_to(gray_pictures[0])
    reason = similar_images.why_not(gray_pictures[0], gray_pictures[1])
    assert (reason.code, reason.rank, reason.similarity) == ("listed", 1, first.similarity)
    assert (reason.scores, reason.distances) == (first.scores, first.distances)
    assert reason.text == f"It is listed at position 1 ({first.similarity}%)."
    assert code_and_rank(gray_pictures[0], gray_pictures[0]) == ("itself", None)


def test_why_not__of_excluded_filtered_and_marked_objects(gray_pictures: list[Picture]) -> None:
    shelf = Shelf.objects.create()
    assert code_and_rank(gray_pictures[0], gray_pictures[1], exclude=[gray_pictures[1]]) == ("excluded", None)
    assert code_and_rank(gray_pictures[0], gray_pictures[1], queryset=Picture.objects.filter(shelf=shelf)) == (
        "filtered",
        None,
    )
    assert code_and_rank(gray_pictures[0], gray_pictures[1], queryset=Picture.objects.none()) == ("filtered", None)
    assert code_and_rank(gray_pictures[0], gray_pictures[1], queryset=Picture.objects.order_by("-pk")[:3]) == (
        "filtered",
        None,
    )
    similar_images.mark(gray_pictures[1], gray_pictures[0], alike=False)
    assert code_and_rank(gray_pictures[0], gray_pictures[1]) == ("marked", None)
    similar_images.mark(gray_pictures[1], gray_pictures[0], alike=True)
    assert code_and_rank(gray_pictures[0], gray_pictures[1]) == ("listed", 1)


def test_why_not__of_invisible_objects_is_for_staff_who_may_view_them(gray_pictures: list[Picture]) -> None:
    hidden = gray_pictures[1]
    Picture.objects.filter(pk=hidden.pk).update(published=False)
    viewer, clerk, visitor = (User.objects.create(username=name, is_staff=name != "visitor") for name in "abc")
    visitor.is_staff = False
    viewer.user_permissions.set(Permission.objects.filter(codename="view_picture"))
    unknown = similar_images.why_not(gray_pictures[0], hidden)
    assert unknown.code == "unknown"
    for user in (clerk, visitor, AnonymousUser()):
        assert similar_images.why_not(gray_pictures[0], hidden, request=request_by(user)) == unknown
    assert code_and_rank(gray_pictures[0], hidden, request=request_by(viewer)) == ("invisible", None)
    similar_images.mark(gray_pictures[0], hidden, alike=False)
    assert similar_images.why_not(gray_pictures[0], hidden) == unknown, "whatever else is true of it"


def test_why_not__of_objects_that_are_not_indexed(gray_pictures: list[Picture], index_now: Any) -> None:
    bare, pending = Picture.objects.create(), save_gray(1)
    broken = Picture.objects.create(image=drawing.ContentFile(b"x", name="x.png"))
    texts = [similar_images.why_not(gray_pictures[0], other).text for other in (bare, pending)]
    assert texts == [
        "It has no image, or its image has not been registered yet.",
        "Its image has not been processed yet.",
    ]
    index_now()
    assert code_and_rank(gray_pictures[0], pending)[0] == "listed"
    reason = similar_images.why_not(gray_pictures[0], broken)
    assert (reason.code, reason.text) == ("not-indexed", "Its image could not be processed.")
    staff = request_by(User.objects.create(username="staff", is_staff=True, is_superuser=True))
    assert "not an image in a supported format" in similar_images.why_not(gray_pictures[0], broken, request=staff).text
    Picture.objects.filter(pk=pending.pk).update(image="changed.png")
    pending.refresh_from_db()
    assert code_and_rank(gray_pictures[0], pending) == ("not-indexed", None)
    assert code_and_rank(bare, gray_pictures[0]) == ("no-query", None)


def test_why_not__of_an_object_without_signatures(gray_pictures: list[Picture]) -> None:
    Signature.objects.filter(record__object_id=gray_pictures[1].pk).delete()
    assert code_and_rank(gray_pictures[0], gray_pictures[1]) == ("incomparable", None)


def test_why_not__of_an_object_below_the_threshold(gray_pictures: list[Picture], index_now: Any) -> None:
    far = save_gray(200)
    index_now()
    (*_near, match) = similar_images.similar_to(gray_pictures[0])
    reason = similar_images.why_not(gray_pictures[0], far, min_similarity=90.5)
    assert (reason.code, reason.rank, reason.similarity) == ("below-threshold", None, match.similarity)
    assert match.object == far
    assert reason.text == f"It is {match.similarity}% similar, below the minimum of 90.5%."
    assert code_and_rank(gray_pictures[0], far, min_similarity=match.similarity) == ("listed", 10)


def test_why_not__of_an_object_beyond_the_limit_has_its_rank(
    gray_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among the candidates, and behind them."""
    matches = [match.object for match in similar_images.similar_to(gray_pictures[4], limit=50)]
    for pool in (100, 1):
        monkeypatch.setattr(search, "pool_sizes", lambda *args, pool=pool: {"mean": pool})
        for rank, other in enumerate(matches, start=1):
            assert code_and_rank(gray_pictures[4], other, limit=2) == ("listed" if rank <= 2 else "beyond-limit", rank)
    hidden = matches[0]
    Picture.objects.filter(pk=hidden.pk).update(published=False)
    assert code_and_rank(gray_pictures[4], matches[5], limit=2) == ("beyond-limit", 5), "hidden objects take no rank"


def test_why_not__of_an_object_that_the_index_missed_has_its_exact_rank(
    gray_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an approximate index may, the search never finds one of them."""
    real, missed = candidates.search_candidates, str(gray_pictures[3].pk)

    def search_candidates(*args: Any, **options: Any) -> KnnRows:
        return KnnRows([row for row in real(*args) if row.object_id != missed])

    similarity = similar_images.similar_to(gray_pictures[0])[2].similarity
    monkeypatch.setattr(search, "search_candidates", search_candidates)
    monkeypatch.setattr("similar_images.search.explain.RANKED_CHUNK", 2)
    reason = similar_images.why_not(gray_pictures[0], gray_pictures[3])
    assert (reason.code, reason.rank, reason.similarity) == ("missed", 3, similarity)
    assert code_and_rank(gray_pictures[0], gray_pictures[4]) == ("listed", 3)


def test_why_not__ranks_by_exact_distances_where_a_method_has_them(
    make_picture: Any, index_now: Any, configure: Any
) -> None:
    configure(METHODS={"palette": {}}, RANKING={"palette": 1})
    item, *others = [make_picture(seed) for seed in range(6)]
    index_now()
    matches = similar_images.similar_to(item)
    assert len(matches) == len(others)
    for rank, match in enumerate(matches[2:], start=3):
        reason = similar_images.why_not(item, match.object, limit=2)
        assert (reason.code, reason.rank, reason.similarity) == ("beyond-limit", rank, match.similarity)
        assert reason.distances == match.distances


def test_why_not__ranks_all_images_by_stored_distances_alone(
    make_picture: Any, index_now: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To refine all distances would read every signature; here for the rank of an object that the search missed."""
    configure(METHODS={"palette": {}}, RANKING={"palette": 1})
    item, *others = [make_picture(seed) for seed in range(6)]
    index_now()
    real, refine, missed = candidates.search_candidates, Palette.refine, str(others[0].pk)
    refined: list[int] = []

    def count_and_refine(self: Palette, query: Any, values: Any) -> list[float]:
        refined.append(len(values))
        return refine(self, query, values)

    monkeypatch.setattr(
        search,
        "search_candidates",
        lambda *args, **options: KnnRows([row for row in real(*args, **options) if row.object_id != missed]),
    )
    monkeypatch.setattr(Palette, "refine", count_and_refine)
    assert code_and_rank(item, others[0])[0] == "missed"
    assert refined
    assert max(refined) < len(others)


def test_why_not__of_a_search_by_a_file(gray_pictures: list[Picture]) -> None:
    with gray_pictures[0].image.open() as file:
        data = file.read()
    assert code_and_rank(io.BytesIO(data), gray_pictures[0], model=Picture) == ("listed", 1)
    assert code_and_rank(io.BytesIO(data), gray_pictures[5], model=Picture, limit=3) == ("beyond-limit", 6)


def test_why_not__refuses_another_model_and_bad_options(gray_pictures: list[Picture]) -> None:
    with pytest.raises(ValueError, match="not of the model that is searched"):
        similar_images.why_not(gray_pictures[0], NamedPicture(name="x"))
    with pytest.raises(ValueError, match="limit"):
        similar_images.why_not(gray_pictures[0], gray_pictures[1], limit=0)


def test_why_not__takes_few_queries(
    gray_pictures: list[Picture], django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with django_assert_num_queries(4):
        similar_images.why_not(gray_pictures[0], gray_pictures[1])
    with django_assert_num_queries(8):
        assert code_and_rank(gray_pictures[0], gray_pictures[9], limit=2)[0] == "beyond-limit"
    monkeypatch.setattr(search, "pool_sizes", lambda *args: {"mean": 1})
    with django_assert_num_queries(8):
        assert code_and_rank(gray_pictures[0], gray_pictures[9], limit=2)[0] == "beyond-limit"


def test_why_not__goes_by_all_examples(
    gray_pictures: list[Picture], index_now: Any, make_picture: Any, configure: Any
) -> None:
    pending, unlike, other = save_gray(3), gray_pictures[2], gray_pictures[3]
    search = [gray_pictures[0]], {"unlike": [unlike]}
    ranks = {m.object: (n, m.similarity) for n, m in enumerate(similar_images.similar_to(*search[0], **search[1]), 1)}
    reason = similar_images.why_not(search[0], other, unlike=[unlike], min_similarity=ranks[other][1] + 0.5)
    assert (reason.code, reason.similarity) == ("below-threshold", ranks[other][1])
    reason = similar_images.why_not(search[0], other, unlike=[unlike], limit=1)
    assert (reason.code, reason.rank, reason.similarity) == ("beyond-limit", *ranks[other])
    assert code_and_rank([pending, gray_pictures[0]], gray_pictures[9], limit=3) == ("beyond-limit", 9)


def test_why_not__of_copies_goes_by_verification(make_picture: Any, index_now: Any) -> None:
    item, other = make_picture(1), make_picture(2)
    index_now()
    (match,) = similar_images.similar_to(item, mode="copy", min_similarity=0)
    reason = similar_images.why_not(item, other, mode="copy")
    assert (reason.code, reason.similarity) == ("below-threshold", match.similarity)


def test_why_not__of_another_image_of_the_same_group(mean_method: None, index_now: Any) -> None:
    shelf = Shelf.objects.create()
    query, sibling = save_gray(1, shelf=shelf), save_gray(2, shelf=shelf)
    index_now()
    assert code_and_rank(query, sibling, distinct="shelf") == ("folded", None)


def test_why_not__behind_more_near_duplicates_than_the_limit(mean_method: None, index_now: Any, configure: Any) -> None:
    configure(NEAR_DUPLICATE_THRESHOLD=99.9)
    query, copies, others = (
        save_gray(100),
        [save_gray(101) for _ in range(30)],
        [save_gray(level) for level in range(102, 120)],
    )
    index_now()
    assert code_and_rank(query, copies[25], limit=12) == ("folded", None)
    assert code_and_rank(query, others[12], limit=12) == ("beyond-limit", 14)


def test_why_not__of_a_near_duplicate_of_a_match(make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"color": {}}, RANKING={"color": 1}, NEAR_DUPLICATE_THRESHOLD=95)
    item, first, copy = make_picture(seed=1), make_picture(seed=2), make_picture(seed=2)
    index_now()
    [match] = similar_images.similar_to(item)
    assert (match.object, match.folded) == (first, 1)
    reason = similar_images.why_not(item, copy)
    assert (reason.code, reason.similarity) == ("folded", match.similarity)


def test_reason__rounds_to_one_decimal(gray_pictures: list[Picture]) -> None:
    planned = plan_search(gray_pictures[0], SearchOptions())
    scored = planned.run()[0]
    scored = scored._replace(similarity=87.44, scores={"mean": 87.46})
    reason = explain._reason_at("listed", "%(rank)s: %(similarity)s%% of %(limit)s", scored, 3, limit=5)
    assert (reason.code, reason.text, reason.rank) == ("listed", "3: 87.4% of 5", 3)
    assert (reason.similarity, reason.scores) == (87.4, {"mean": 87.5})
    assert reason.distances == scored.candidate.distances


def test_why_not__at_the_line_of_the_threshold(gray_pictures: list[Picture]) -> None:
    """The decimal that is shown decides."""
    similarity = similar_images.similar_to(gray_pictures[0])[4].similarity
    assert code_and_rank(gray_pictures[0], gray_pictures[5], min_similarity=similarity) == ("listed", 5)
    assert code_and_rank(gray_pictures[0], gray_pictures[5], min_similarity=similarity + 0.1)[0] == "below-threshold"


def test_why_not__at_the_line_of_the_limit(gray_pictures: list[Picture]) -> None:
    assert code_and_rank(gray_pictures[0], gray_pictures[5], limit=5) == ("listed", 5)
    reason = similar_images.why_not(gray_pictures[0], gray_pictures[5], limit=4)
    assert (reason.code, reason.rank) == ("beyond-limit", 5)
    assert reason.text == f"It ranks at position 5 ({reason.similarity}%); only the first 4 are shown."
    reason = similar_images.why_not(gray_pictures[0], gray_pictures[5], limit=1)
    assert reason.text == f"It ranks at position 5 ({reason.similarity}%); only the first match is shown."


def test_why_not__reads_distances_in_chunks(gray_pictures: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    assert explain.RANKED_CHUNK == 2_000
    monkeypatch.setattr(explain, "RANKED_CHUNK", 4)
    planned = plan_search(gray_pictures[0], SearchOptions())
    chunks = list(explain._read_distances(planned, planned.records(planned.query.items)))
    assert [len(chunk) for chunk in chunks] == [4, 4, 1]


def test_why_not__of_a_mark_says_when(gray_pictures: list[Picture]) -> None:
    similar_images.mark(gray_pictures[0], gray_pictures[1], alike=False)
    text = similar_images.why_not(gray_pictures[0], gray_pictures[1]).text
    day = timezone.localtime(Mark.objects.get().marked_at)
    assert text == f"The two were marked as not similar on {date_format(day, 'DATE_FORMAT')}."


def test_why_not__of_a_mark_in_a_project_without_time_zones(gray_pictures: list[Picture], settings: Any) -> None:
    settings.USE_TZ = False
    similar_images.mark(gray_pictures[0], gray_pictures[1], alike=False)
    assert code_and_rank(gray_pictures[0], gray_pictures[1]) == ("marked", None)


def test_why_not__of_any_of_several_examples(gray_pictures: list[Picture]) -> None:
    similar_images.mark(gray_pictures[1], gray_pictures[3], alike=False)
    assert code_and_rank(gray_pictures[:2], gray_pictures[1]) == ("itself", None)
    assert code_and_rank(gray_pictures[:2], gray_pictures[3]) == ("marked", None)
    with gray_pictures[0].image.open() as file:
        assert code_and_rank([file, gray_pictures[1]], gray_pictures[3], model=Picture) == ("marked", None)


def test_why_not__of_an_example_that_matches_must_not_resemble(gray_pictures: list[Picture]) -> None:
    assert code_and_rank(gray_pictures[0], gray_pictures[1], unlike=[gray_pictures[1]]) == ("excluded", None)


def test_why_not__of_a_changed_file_is_not_indexed(gray_pictures: list[Picture], index_now: Any) -> None:
    Picture.objects.filter(pk=gray_pictures[1].pk).update(image="changed.png")
    gray_pictures[1].refresh_from_db()
    assert similar_images.why_not(gray_pictures[0], gray_pictures[1]).text == "Its image has not been processed yet."
    IndexedImage.objects.filter(object_id=str(gray_pictures[2].pk)).update(status=IndexedImage.Status.PENDING)
    Signature.objects.filter(record__object_id=str(gray_pictures[2].pk)).delete()
    assert similar_images.why_not(gray_pictures[0], gray_pictures[2]).text == "Its image has not been processed yet."
