"""Why a match came about, and why another object did not."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.test import RequestFactory

import similar_images
from similar_images import registry
from similar_images.models import Signature
from similar_images.search import candidates as nearest
from similar_images.search import query_vectors, search
from similar_images.search.matches import Explanation
from similar_images.search.sql import KnnRow
from tests import drawing
from tests.items import gray
from tests.testapp.models import NamedPicture, Picture, Shelf

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick")]


def request_of(user: Any) -> Any:
    request = RequestFactory().get("/")
    request.user = user
    return request


def why(query: Any, other: Any, **options: Any) -> tuple[str, int | None]:
    reason = similar_images.why_not(query, other, **options)
    assert reason.text.endswith((".", ".)"))
    return reason.code, reason.rank


def test_explain__tells_by_what_a_match_was_found(make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"color": {}, "tests.methods.Mean": {}}, RANKING={"color": 3, "mean": 1})
    item, _other = make_picture(1), make_picture(2)
    index_now()
    plain, explained = similar_images.similar_to(item), similar_images.similar_to(item, explain=True)
    assert plain[0].explanation is None
    assert explained[0].explanation == Explanation(["color", "mean"], {"color": 3, "mean": 1})
    assert (explained[0].scores, explained[0].distances) == (plain[0].scores, plain[0].distances)


def test_explain__names_only_those_that_put_it_forward(make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"color": {}, "tests.methods.Mean": {}}, RANKING={"color": 1, "mean": 1})
    item, *_others = [make_picture(seed) for seed in range(5)]
    index_now()
    source = registry.get_source(Picture)
    operands = query_vectors.stored_query(source, item, ["color", "mean"])
    records = nearest.searchable_records(source, [Picture.objects.all()], [item.pk])
    rows = nearest.search_candidates(source, operands, records, {"color": 4, "mean": 1}, 1)
    found = [scored.candidate for scored in nearest.score_rows(operands, rows, {"color": 1, "mean": 1})]
    nearest_by_mean = min(found, key=lambda one: one.distances["mean"])
    assert {one.object_id: one.found_by for one in found} == {
        one.object_id: ["color", "mean"] if one is nearest_by_mean else ["color"] for one in found
    }
    assert len(found) == 4


def test_explain__costs_no_query(grays: list[Picture], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(4):
        similar_images.similar_to(grays[0], explain=True)


def test_why_not__listed_and_itself(grays: list[Picture]) -> None:
    (first, *_rest) = similar_images.similar_to(grays[0])
    reason = similar_images.why_not(grays[0], grays[1])
    assert (reason.code, reason.rank, reason.similarity) == ("listed", 1, first.similarity)
    assert (reason.scores, reason.distances) == (first.scores, first.distances)
    assert reason.text == f"It is listed at position 1 ({first.similarity}%)."
    assert why(grays[0], grays[0]) == ("itself", None)


def test_why_not__left_out_excluded_filtered_marked(grays: list[Picture]) -> None:
    shelf = Shelf.objects.create()
    assert why(grays[0], grays[1], exclude=[grays[1]]) == ("excluded", None)
    assert why(grays[0], grays[1], queryset=Picture.objects.filter(shelf=shelf)) == ("filtered", None)
    assert why(grays[0], grays[1], queryset=Picture.objects.none()) == ("filtered", None)
    assert why(grays[0], grays[1], queryset=Picture.objects.order_by("-pk")[:3]) == ("filtered", None)
    similar_images.mark(grays[1], grays[0], alike=False)
    assert why(grays[0], grays[1]) == ("marked", None)
    similar_images.mark(grays[1], grays[0], alike=True)
    assert why(grays[0], grays[1]) == ("listed", 1)


def test_why_not__invisible_is_told_to_staff_only(grays: list[Picture]) -> None:
    hidden = grays[1]
    Picture.objects.filter(pk=hidden.pk).update(published=False)
    viewer, clerk, visitor = (User.objects.create(username=name, is_staff=name != "visitor") for name in "abc")
    visitor.is_staff = False
    viewer.user_permissions.set(Permission.objects.filter(codename="view_picture"))
    nobody = similar_images.why_not(grays[0], hidden)
    assert nobody.code == "unknown"
    for user in (clerk, visitor, AnonymousUser()):
        assert similar_images.why_not(grays[0], hidden, request=request_of(user)) == nobody
    assert why(grays[0], hidden, request=request_of(viewer)) == ("invisible", None)
    similar_images.mark(grays[0], hidden, alike=False)
    assert similar_images.why_not(grays[0], hidden) == nobody, "whatever else is true of it"


def test_why_not__not_indexed(grays: list[Picture], index_now: Any) -> None:
    bare, pending = Picture.objects.create(), gray(1)
    broken = Picture.objects.create(image=drawing.ContentFile(b"x", name="x.png"))
    texts = [similar_images.why_not(grays[0], other).text for other in (bare, pending)]
    assert texts == [
        "It has no image, or its image has not been registered yet.",
        "Its image has not been processed yet.",
    ]
    index_now()
    assert why(grays[0], pending)[0] == "listed"
    reason = similar_images.why_not(grays[0], broken)
    assert (reason.code, reason.text) == ("not-indexed", "Its image could not be processed.")
    staff = request_of(User.objects.create(username="staff", is_staff=True, is_superuser=True))
    assert "not an image in a supported format" in similar_images.why_not(grays[0], broken, request=staff).text
    Picture.objects.filter(pk=pending.pk).update(image="changed.png")
    pending.refresh_from_db()
    assert why(grays[0], pending) == ("not-indexed", None)
    assert why(bare, grays[0]) == ("no-query", None)


def test_why_not__incomparable(grays: list[Picture]) -> None:
    Signature.objects.filter(record__object_id=grays[1].pk).delete()
    assert why(grays[0], grays[1]) == ("incomparable", None)


def test_why_not__below_the_threshold(grays: list[Picture], index_now: Any) -> None:
    far = gray(200)
    index_now()
    (*_near, match) = similar_images.similar_to(grays[0])
    reason = similar_images.why_not(grays[0], far, min_similarity=90.5)
    assert (reason.code, reason.rank, reason.similarity) == ("below-threshold", None, match.similarity)
    assert match.object == far
    assert reason.text == f"It is {match.similarity}% similar, below the minimum of 90.5%."
    assert why(grays[0], far, min_similarity=match.similarity) == ("listed", 10)


def test_why_not__further_down(grays: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    """Among the candidates, and behind them."""
    everything = [match.object for match in similar_images.similar_to(grays[4], limit=50)]
    for pool in (100, 1):
        monkeypatch.setattr(search, "pool_sizes", lambda *args, pool=pool: {"mean": pool})
        for rank, other in enumerate(everything, start=1):
            assert why(grays[4], other, limit=2) == ("listed" if rank <= 2 else "beyond-limit", rank)
    hidden = everything[0]
    Picture.objects.filter(pk=hidden.pk).update(published=False)
    assert why(grays[4], everything[5], limit=2) == ("beyond-limit", 5), "what may not be seen counts for nothing"


def test_why_not__missed_with_its_exact_rank(grays: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    """As an approximate index does, the search never comes upon one of them."""
    real, missed = nearest.search_candidates, str(grays[3].pk)

    def candidates(*args: Any) -> list[KnnRow]:
        return [row for row in real(*args) if row.object_id != missed]

    similarity = similar_images.similar_to(grays[0])[2].similarity
    monkeypatch.setattr(search, "search_candidates", candidates)
    monkeypatch.setattr("similar_images.search.explain.RANKED_CHUNK", 2)
    reason = similar_images.why_not(grays[0], grays[3])
    assert (reason.code, reason.rank, reason.similarity) == ("missed", 3, similarity)
    assert why(grays[0], grays[4]) == ("listed", 3)


def test_why_not__of_methods_with_truer_distances(make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"palette": {}}, RANKING={"palette": 1})
    item, *others = [make_picture(seed) for seed in range(6)]
    index_now()
    matches = similar_images.similar_to(item)
    assert len(matches) == len(others)
    for rank, match in enumerate(matches[2:], start=3):
        reason = similar_images.why_not(item, match.object, limit=2)
        assert (reason.code, reason.rank, reason.similarity) == ("beyond-limit", rank, match.similarity)
        assert reason.distances == match.distances


def test_why_not__of_a_picture(grays: list[Picture]) -> None:
    with grays[0].image.open() as file:
        data = file.read()
    assert why(io.BytesIO(data), grays[0], model=Picture) == ("listed", 1)
    assert why(io.BytesIO(data), grays[5], model=Picture, limit=3) == ("beyond-limit", 6)


def test_why_not__nonsense_is_told(grays: list[Picture]) -> None:
    with pytest.raises(ValueError, match="not of the model that is searched"):
        similar_images.why_not(grays[0], NamedPicture(name="x"))
    with pytest.raises(ValueError, match="limit"):
        similar_images.why_not(grays[0], grays[1], limit=0)


def test_why_not__queries_are_few(
    grays: list[Picture], django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with django_assert_num_queries(4):
        similar_images.why_not(grays[0], grays[1])
    with django_assert_num_queries(8):
        assert why(grays[0], grays[9], limit=2)[0] == "beyond-limit"
    monkeypatch.setattr(search, "pool_sizes", lambda *args: {"mean": 1})
    with django_assert_num_queries(8):
        assert why(grays[0], grays[9], limit=2)[0] == "beyond-limit"


def test_why_not__goes_by_all_that_the_search_goes_by(
    grays: list[Picture], index_now: Any, make_picture: Any, configure: Any
) -> None:
    pending, unlike, other = gray(3), grays[2], grays[3]
    search = [grays[0]], {"unlike": [unlike]}
    places = {m.object: (n, m.similarity) for n, m in enumerate(similar_images.similar_to(*search[0], **search[1]), 1)}
    reason = similar_images.why_not(search[0], other, unlike=[unlike], min_similarity=places[other][1] + 0.5)
    assert (reason.code, reason.similarity) == ("below-threshold", places[other][1])
    reason = similar_images.why_not(search[0], other, unlike=[unlike], limit=1)
    assert (reason.code, reason.rank, reason.similarity) == ("beyond-limit", *places[other])
    assert why([pending, grays[0]], grays[9], limit=3) == ("beyond-limit", 9)


def test_why_not__of_copies_is_what_the_proof_says(make_picture: Any, index_now: Any) -> None:
    item, other = make_picture(1), make_picture(2)
    index_now()
    (match,) = similar_images.similar_to(item, mode="copy", min_similarity=0)
    reason = similar_images.why_not(item, other, mode="copy")
    assert (reason.code, reason.similarity) == ("below-threshold", match.similarity)


def test_why_not__another_picture_of_the_same_object(quick: None, index_now: Any) -> None:
    shelf = Shelf.objects.create()
    query, sibling = gray(1, shelf=shelf), gray(2, shelf=shelf)
    index_now()
    assert why(query, sibling, distinct="shelf") == ("folded", None)


def test_why_not__behind_more_twins_than_places(quick: None, index_now: Any, configure: Any) -> None:
    configure(NEAR_DUPLICATE_THRESHOLD=99.9)
    query, twins, others = gray(100), [gray(101) for _ in range(30)], [gray(level) for level in range(102, 120)]
    index_now()
    assert why(query, twins[25], limit=12) == ("folded", None)
    assert why(query, others[12], limit=12) == ("beyond-limit", 14)


def test_why_not__a_near_copy_comes_in_its_place(make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"color": {}}, RANKING={"color": 1}, NEAR_DUPLICATE_THRESHOLD=95)
    item, first, twin = make_picture(seed=1), make_picture(seed=2), make_picture(seed=2)
    index_now()
    [match] = similar_images.similar_to(item)
    assert (match.object, match.folded) == (first, 1)
    reason = similar_images.why_not(item, twin)
    assert (reason.code, reason.similarity) == ("folded", match.similarity)
