"""Candidates' images, read and compared with the query's as long as there is time."""

from __future__ import annotations

import logging
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from similar_images import registry
from similar_images.imaging.decode import UnreadableImage
from similar_images.search.candidates import Candidate, ScoredCandidate
from similar_images.search.rerank import image_pairs
from tests import drawing
from tests.testapp.models import Picture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("mean_method")]


@pytest.fixture
def pictures(make_picture: Any) -> list[Picture]:
    return [make_picture(seed) for seed in range(3)]


def candidates(*items: Picture) -> list[ScoredCandidate]:
    return [
        ScoredCandidate(50, Candidate(item.pk, str(item.pk), item.image.name, {}), {"mean": 50.0}) for item in items
    ]


def compare(query: Any, items: list[Picture], function: Any = None, **options: Any) -> dict[int, Any]:
    """Compare images by their width, or by another function."""
    function = function or (lambda a, b, scored: (a.pixels.shape[1], b.pixels.shape[1]))
    source = registry.get_source(Picture)
    return image_pairs.compare_candidates(source, query, candidates(*items), function, **{"long_side": 64, **options})


def test_compare__returns_the_result_of_each_candidate_by_record(pictures: list[Picture]) -> None:
    query, *others = pictures
    assert compare(query, others) == {other.pk: (64, 64) for other in others}
    assert compare(drawing.encoded(drawing.scene(1)), others, long_side=80) == {other.pk: (80, 80) for other in others}
    seen = []
    compare(query, others, lambda a, b, scored: seen.append(scored))
    assert seen == candidates(*others)


def test_compare__without_the_query_s_file_returns_nothing(pictures: list[Picture]) -> None:
    query, *others = pictures
    Path(query.image.path).unlink()
    assert compare(query, others) == {}


def test_compare__skips_unreadable_files_and_logs_them(
    pictures: list[Picture], caplog: pytest.LogCaptureFixture
) -> None:
    query, missing, other = pictures
    Path(missing.image.path).unlink()
    with caplog.at_level(logging.WARNING, "similar_images"):
        assert set(compare(query, [missing, other])) == {other.pk}
    assert f"{missing.image.name} of testapp.Picture.image can't be compared" in caplog.text


def test_compare__refuses_an_unreadable_upload(pictures: list[Picture], configure: Any) -> None:
    with pytest.raises(UnreadableImage):
        compare(b"x", pictures)
    configure(SEARCH_MAX_PIXELS=100)
    with pytest.raises(UnreadableImage, match="100 pixels"):
        compare(drawing.encoded(drawing.scene(1)), pictures)
    assert len(compare(pictures[0], pictures)) == 3, "stored images have a bound of their own"
    configure(MAX_PIXELS=100)
    assert compare(pictures[0], pictures) == {}
    configure(MAX_PIXELS=1_000_000, MAX_BYTES=10)
    assert compare(pictures[0], pictures) == {}


@pytest.mark.parametrize(("now", "count"), [(9.9, 3), (10.0, 0), (10.1, 0)])
def test_compare__stops_when_the_time_is_up(
    now: float, count: int, pictures: list[Picture], configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(REQUEST_TIMEOUT=10)
    ticks = iter([0.0, *[now] * 9])
    monkeypatch.setattr(image_pairs, "monotonic", lambda: next(ticks))
    assert len(compare(pictures[0], pictures)) == count


def test_compare__keeps_what_was_done_when_interrupted(
    pictures: list[Picture], configure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    configure(REQUEST_TIMEOUT=0.3)
    with caplog.at_level(logging.WARNING, "similar_images"):
        results = compare(pictures[0], pictures, lambda a, b, scored: sleep(0.2) or "compared")
    assert 1 <= len(results) < 3
    assert set(results.values()) == {"compared"}
    assert "had no time to compare" in caplog.text


def test_compare__passes_interruptions_on(pictures: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory runs out, the process is in trouble, not one image."""

    def run_out_of_memory(*args: Any, **options: Any) -> bytes:
        raise MemoryError

    monkeypatch.setattr(image_pairs, "read_stored", run_out_of_memory)
    with pytest.raises(MemoryError):
        compare(pictures[0], pictures)
