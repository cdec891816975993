"""Every built-in method, from upload to match, on every surface."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

import similar_images
from similar_images import plugins, signatures
from similar_images.models import IndexedImage, Signature
from similar_images.signatures import storage
from similar_images.signatures.palette import extract_palette, palette_distance
from tests import drawing
from tests.signatures.contract import distance, stored
from tests.testapp.models import Picture

pytestmark = pytest.mark.django_db

SPECIAL_IMAGES = {
    "blank": Image.new("RGB", (64, 48), (30, 90, 160)),
    "white": Image.new("RGB", (64, 48), "white"),
    "one pixel": Image.new("RGB", (1, 1), (200, 30, 90)),
    "gray": drawing.scene(5).convert("L"),
}


@pytest.fixture
def _all_methods(configure: Any) -> None:
    configure(
        METHODS={name: {} for name in signatures.BUILT_IN_METHODS},
        RANKING=dict.fromkeys(signatures.BUILT_IN_METHODS, 1),
    )


@pytest.mark.usefixtures("_all_methods")
def test_method__is_stored_and_searched_as_it_was_computed(make_picture: Any, index_now: Any, client: Any) -> None:
    item, twin, *others = [make_picture(seed) for seed in (1, 1, 2, 3)]
    special = {
        name: Picture.objects.create(image=drawing.ContentFile(drawing.encoded(image), name="special.png"))
        for name, image in SPECIAL_IMAGES.items()
    }
    index_now()
    assert IndexedImage.objects.filter(status="indexed").count() == 8
    values = {
        (s.record.object_id, s.method): getattr(s, storage.column_name(plugins.enabled_methods()[s.method]))
        for s in Signature.objects.select_related("record")
    }
    assert len(values) == 8 * len(signatures.BUILT_IN_METHODS)
    for name, method in plugins.enabled_methods().items():
        query = stored(method.compute(np.array(drawing.scene(1))))
        matches = similar_images.similar_to(item, method=name)
        assert (matches[0].object, matches[0].similarity) == (twin, 100.0)
        assert matches[0].distances[name] == pytest.approx(0, abs=1e-6)
        assert len(matches) == (7 if name != "kaze" else len(matches))
        by_object = {match.object.pk: match for match in matches}
        for seed, other in ((2, others[0]), (3, others[1])):
            candidate = stored(method.compute(np.array(drawing.scene(seed))))
            expected = method.refine(query, [candidate])[0] if method.refines else distance(method, query, candidate)
            assert by_object[other.pk].distances[name] == pytest.approx(expected, abs=2e-3 * max(1, expected))
        uploaded = similar_images.similar_to(
            io.BytesIO(drawing.encoded(drawing.scene(1))), model=Picture, method=name, limit=2
        )
        assert [match.similarity for match in uploaded] == [100, 100]
        answer = client.get(f"/api/similar-images/testapp.picture/{item.pk}/similar/", {"method": name, "limit": 3})
        assert [row["similarity"] for row in answer.json()["results"]] == [match.similarity for match in matches[:3]]
        page = client.get(f"/similar-images/testapp.picture/{item.pk}/", {"method": name})
        assert page.status_code == 200
    blend = similar_images.similar_to(item)
    assert set(blend[0].scores) == set(signatures.BUILT_IN_METHODS)
    assert all(similar_images.similar_to(picture) for picture in special.values())


@pytest.mark.usefixtures("_all_methods")
def test_kaze__image_without_detail_is_never_a_match(make_picture: Any, index_now: Any) -> None:
    item = make_picture(1)
    blanks = [
        Picture.objects.create(image=drawing.ContentFile(drawing.encoded(SPECIAL_IMAGES[name]), name=f"{name}.png"))
        for name in ("blank", "white")
    ]
    index_now()
    marked = set(Signature.objects.filter(low_detail=True).values_list("method", "record__object_id"))
    assert marked == {("kaze", str(blank.pk)) for blank in blanks}
    assert similar_images.similar_to(blanks[0], method="kaze") == []
    assert similar_images.similar_to(item, method="kaze") == []
    match = similar_images.similar_to(blanks[0])[0]
    assert match.object == blanks[1]
    assert "kaze" not in match.scores
    uploaded = io.BytesIO(drawing.encoded(SPECIAL_IMAGES["white"]))
    assert "kaze" not in similar_images.similar_to(uploaded, model=Picture)[0].scores
    make_picture(2)
    Picture.objects.create(image=drawing.ContentFile(drawing.encoded(SPECIAL_IMAGES["blank"]), name="again.png"))
    index_now()
    assert Signature.objects.filter(low_detail=True).count() == 3, "signatures of the same bytes keep the mark"


def test_palette__is_ranked_by_the_earth_mover_s_distance(
    make_picture: Any, index_now: Any, configure: Any, django_assert_num_queries: Any
) -> None:
    configure(METHODS={"palette": {}}, RANKING={"palette": 1})
    pictures = [make_picture(seed) for seed in range(12)]
    index_now()
    palettes = {picture.pk: extract_palette(np.array(drawing.scene(seed))) for seed, picture in enumerate(pictures)}
    expected = {pk: palette_distance(palettes[pictures[0].pk], other) for pk, other in palettes.items()}
    with django_assert_num_queries(5):
        matches = similar_images.similar_to(pictures[0])
    assert [match.object.pk for match in matches] == sorted(expected, key=lambda pk: expected[pk])[1:]
    for match in matches:
        assert match.distances["palette"] == pytest.approx(expected[match.object.pk], abs=0.02)
    uploaded = similar_images.similar_to(io.BytesIO(drawing.encoded(drawing.scene(0))), model=Picture)
    assert uploaded[0].object == pictures[0]
    assert [match.distances["palette"] for match in uploaded[1:]] == pytest.approx(
        [match.distances["palette"] for match in matches], abs=0.02
    )


@pytest.mark.parametrize("name", signatures.BUILT_IN_METHODS)
def test_method__is_stored_under_its_name_and_can_be_indexed(name: str) -> None:
    method = plugins.load_method(name, {})
    assert method.name == name
    assert 0 < len(method.version) <= 64
    assert method.dimensions <= {"halfvec": 4_000, "bit": 64_000, "sparsevec": 10**9}[method.storage]
    assert method.metric in storage.VECTOR_TYPES[method.storage].distances
    assert method.curve[0] == (0, 100)
    assert method.curve[-1][1] == 0
