"""The curve from distance to percent, fitted on a site's own images."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError
from hypothesis import given
from hypothesis import strategies as st

import similar_images
from similar_images.evaluation.calibration import CurveFit
from similar_images.indexing import versions
from similar_images.models import MethodVersion
from similar_images.signatures.base import similarity_from_distance
from tests import commands
from tests.testapp.models import Picture

distances = st.lists(st.floats(0, 2), min_size=1, max_size=60).map(np.array)


@given(copies=distances, pairs=distances)
def test_curve__is_monotone_from_100_to_0(copies: np.ndarray, pairs: np.ndarray) -> None:
    curve = CurveFit(copies, pairs).curve
    assert curve[0] == [0, 100]
    assert curve[-1][1] == 0
    assert all(a[0] < b[0] and a[1] >= b[1] for a, b in pairwise(curve))


def test_curve__has_the_documented_quantiles() -> None:
    rng = np.random.default_rng(1)
    fit = CurveFit(rng.uniform(0.01, 0.03, 500), rng.normal(0.7, 0.08, 100_000).clip(0.05, 1.5))
    curve = fit.curve
    assert similarity_from_distance(curve, float(np.median(fit.copy_distances))) == pytest.approx(90)
    similarities = np.array([similarity_from_distance(curve, d) for d in fit.pair_distances])
    assert (similarities >= 70).mean() == pytest.approx(1e-4, rel=0.3)
    assert (similarities >= 30).mean() == pytest.approx(1e-2, rel=0.05)
    assert np.median(similarities) == pytest.approx(2, abs=0.1)


def test_curve__counts_duplicates_as_copies() -> None:
    random_pairs = np.random.default_rng(1).normal(0.7, 0.08, 10_000).clip(0.3, 1.5)
    duplicates = np.full(100, 0.005)
    expected = CurveFit(np.full(9, 0.02), random_pairs).curve
    assert CurveFit(np.full(9, 0.02), np.concatenate([random_pairs, duplicates])).curve == expected


@pytest.fixture
def indexed(make_picture: Any, index_now: Any, configure: Any) -> Picture:
    configure(METHODS={"tests.methods.Grid": {"side": 4}, "color": {}}, RANKING={"grid": 1})
    pictures = [make_picture(seed) for seed in range(52)]
    index_now()
    return pictures[0]


def calibrate(**options: Any) -> str:
    return commands.run("calibrate_similarity", **options)[0]


@pytest.mark.django_db
def test_calibrate__changes_similarities_at_once_and_back(indexed: Picture) -> None:
    before = similar_images.similar_to(indexed)
    text = calibrate(method=["grid"])
    assert "testapp.Picture.image, grid: 52 images, 1326 pairs" in text
    assert "median copy" in text
    after = similar_images.similar_to(indexed)
    assert [match.object for match in after] == [match.object for match in before]
    assert [match.distances for match in after] == [match.distances for match in before]
    assert [match.similarity for match in after] != [match.similarity for match in before]
    row = MethodVersion.objects.get(source__model="picture", name="grid")
    assert row.is_calibrated
    versions.register_versions()
    assert similar_images.similar_to(indexed) == after, "the sweep keeps the curve"
    assert not MethodVersion.objects.filter(name="color", is_calibrated=True).exists()
    calibrate(reset=True)
    assert similar_images.similar_to(indexed) == before


@pytest.mark.django_db
def test_calibrate__dry_run_and_one_model(indexed: Picture) -> None:
    before = similar_images.similar_to(indexed)
    assert "grid" in calibrate(dry_run=True, model=["testapp.Picture"])
    assert similar_images.similar_to(indexed) == before


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"method": ["nope"]}, "Unknown method: nope"),
        ({"model": ["testapp.Unregistered"]}, "not a source"),
        ({"pictures": 5}, "at least 50"),
        ({"model": ["testapp.NamedPicture"]}, "No source has 50 images"),
    ],
)
def test_calibrate__rejects_invalid_options(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        calibrate(**options)


@pytest.mark.django_db
def test_calibrate__fails_if_no_file_is_left(indexed: Picture) -> None:
    for picture in Picture.objects.all():
        picture.image.storage.delete(picture.image.name)
    with pytest.raises(CommandError, match="None of the images can be read any more"):
        calibrate(method=["grid"])
    assert not MethodVersion.objects.filter(is_calibrated=True).exists()


@pytest.mark.django_db
def test_calibrate__uses_the_refined_distance(make_picture: Any, index_now: Any, configure: Any) -> None:
    """Palettes are ranked by a refined distance that is not stored."""
    configure(METHODS={"palette": {}}, RANKING={"palette": 1})
    pictures = [make_picture(seed) for seed in range(50)]
    index_now()
    text = calibrate(method=["palette"])
    assert "median copy" in text
    curve = MethodVersion.objects.get(source__model="picture", name="palette").curve
    matches = [match for p in pictures[:10] for match in similar_images.similar_to(p, limit=49)]
    assert max(match.distances["palette"] for match in matches) <= curve[-1][0] + 0.1
    assert np.median([match.similarity for match in matches]) == pytest.approx(2, abs=2)
