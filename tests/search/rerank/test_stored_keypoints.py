"""Stored keypoints: a search for copies reads the files of those alone that may be copies, and finds the same ones."""

from __future__ import annotations

import io
from typing import Any

import pytest

import similar_images
from similar_images import plugins, registry
from similar_images.indexing import hnsw, outbox, pruning
from similar_images.indexing.health import versions_health
from similar_images.models import Signature, Source
from similar_images.search.rerank import copies, image_pairs
from tests import commands, drawing
from tests.databases import captured_queries
from tests.drawing import textured
from tests.search.samples import save_image
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db


@pytest.fixture
def store_keypoints(configure: Any) -> None:
    configure(STORE_KEYPOINTS=True, REQUEST_TIMEOUT=60)


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the files that searches read."""
    names: list[str] = []
    real = image_pairs.read_stored

    def read_stored(file: Any, **options: Any) -> bytes:
        names.append(file.name)
        return real(file, **options)

    monkeypatch.setattr(image_pairs, "read_stored", read_stored)
    return names


def names(*items: Picture) -> set[str]:
    return {str(item.image.name) for item in items}


def test_copies__are_the_same_ones_and_the_others_are_not_read(
    store_keypoints: None, edited_copies: dict[str, Picture], read_files: list[str], configure: Any
) -> None:
    query = edited_copies["query"]
    found = similar_images.similar_to(query, mode="copy")
    read = {edited_copies[title] for title in ("query", "encoded", "mirrored", "cropped")}
    assert set(read_files) == names(*read)
    configure(STORE_KEYPOINTS=False)
    read_files.clear()
    without = similar_images.similar_to(query, mode="copy")
    assert [(match.title, match.similarity, match.verdict) for match in found] == [
        (match.title, match.similarity, match.verdict) for match in without
    ]
    assert len(read_files) > len(read)


def test_image_without_copies__reads_no_file(
    store_keypoints: None, edited_copies: dict[str, Picture], read_files: list[str], configure: Any
) -> None:
    counts = []
    for is_stored in (True, False):
        configure(STORE_KEYPOINTS=is_stored)
        similar_images.similar_to(edited_copies["other3"], mode="copy")  # so that what is read once has been
        read_files.clear()
        with captured_queries() as queries:
            assert similar_images.similar_to(edited_copies["other2"], mode="copy") == []
        counts.append((len(queries), bool(read_files)))
    (with_keypoints, reads), (without, reads_without) = counts
    assert (reads, reads_without) == (False, True)
    assert with_keypoints == without + 1


def test_upload__reads_those_alone_that_may_be_copies(
    store_keypoints: None, edited_copies: dict[str, Picture], read_files: list[str]
) -> None:
    data = drawing.encoded(textured(1).rotate(180), "JPEG", quality=80)
    matches = similar_images.similar_to(io.BytesIO(data), model=Picture, mode="copy")
    expected = [edited_copies[title] for title in ("query", "identical", "encoded", "mirrored", "cropped")]
    assert {match.object for match in matches} == set(expected)
    assert set(read_files) == names(*expected)


def test_image_with_few_keypoints__is_compared_all_the_same(
    store_keypoints: None, index_now: Any, read_files: list[str]
) -> None:
    disc = drawing.Image.new("RGB", (320, 240), "white")
    drawing.ImageDraw.Draw(disc).ellipse((60, 40, 220, 200), fill="red")
    query, copy = save_image(disc, "disc"), save_image(disc.resize((160, 120)), "smaller disc")
    index_now()
    similar_images.similar_to(query, mode="copy")
    assert set(read_files) == names(query, copy)


def test_busy_machine__compares_what_it_had_no_time_to_look_at(
    store_keypoints: None, edited_copies: dict[str, Picture], read_files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "MAX_SCREENING_SHARE", 0)
    matches = similar_images.similar_to(edited_copies["query"], mode="copy")
    assert {match.title for match in matches} == {"identical", "encoded", "mirrored", "cropped"}
    assert len(read_files) > len(matches)


def test_health__tells_how_many_images_have_keypoints(
    store_keypoints: None, edited_copies: dict[str, Picture], configure: Any
) -> None:
    configure(HNSW_MIN_ROWS=1)
    row = Source.objects.get(pk=Source.objects.get_id(registry.get_source(Picture)))
    health = {each.version.name: each for each in versions_health([row])[row.pk]}
    keypoints = health["keypoints"]
    assert keypoints.described == len(edited_copies)
    assert (keypoints.is_searched, keypoints.is_building, keypoints.index_size) == (False, False, 0)
    assert health["color"].is_searched
    assert health["color"].is_building


def test_setting__fills_in_what_is_missing_and_its_end_deletes_it(
    edited_copies: dict[str, Picture], configure: Any, index_now: Any, read_files: list[str]
) -> None:
    source = registry.get_source(Picture)
    assert not outbox.outdated_records(source).exists()
    configure(STORE_KEYPOINTS=True)
    assert outbox.outdated_records(source).count() == len(edited_copies)
    assert similar_images.similar_to(edited_copies["other2"], mode="copy") == []
    assert read_files  # as long as no keypoints are stored, as without them
    commands.run("index_images", "--sync")
    stored = Signature.objects.filter(method="keypoints")
    assert stored.count() == len(edited_copies)
    read_files.clear()
    assert similar_images.similar_to(edited_copies["other2"], mode="copy") == []
    assert read_files == []
    configure(STORE_KEYPOINTS=False)
    assert list(pruning.prune_versions([source])) == [len(edited_copies)]
    assert not stored.exists()


def test_keypoints__are_no_method_to_search_by_and_have_no_index(
    store_keypoints: None, edited_copies: dict[str, Picture], configure: Any, client: Any
) -> None:
    configure(HNSW_MIN_ROWS=1)
    assert "keypoints" not in {row.name for row in hnsw.required_indexes()}
    assert "keypoints" not in plugins.enabled_methods()
    with pytest.raises(ValueError, match="Unknown method"):
        similar_images.similar_to(edited_copies["query"], method="keypoints")
    page = client.get(f"/similar-images/testapp.picture/{edited_copies['query'].pk}/").content.decode()
    assert 'value="keypoints"' not in page.split('name="method"')[-1].split("</select>")[0]


def test_method_of_that_name__is_refused(configure: Any) -> None:
    configure(METHODS={"keypoints": {"class": "color"}}, RANKING={"keypoints": 1}, STORE_KEYPOINTS=True)
    with pytest.raises(plugins.ImproperlyConfigured, match="another name"):
        plugins.stored_methods()
