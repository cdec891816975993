"""Rankings: whose weights a search goes by, and the similarity that comes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.test import override_settings

from similar_images.measures.base import ComparisonImage
from similar_images.search import ranking
from tests.search.samples import METHODS

OUT_OF_RANGE = "Weights must be between 0 and 1,000,000, and at least one must be positive."


@pytest.fixture(autouse=True)
def two_methods(configure: Any) -> None:
    configure(METHODS=METHODS, RANKING={"mean": 3, "bits": 1})


def test_resolve_weights__are_those_of_the_setting_by_default() -> None:
    weights = ranking.resolve_weights()
    assert weights == {"mean": 3, "bits": 1}
    weights.clear()
    assert ranking.resolve_weights() == {"mean": 3, "bits": 1}, "callers get a copy"


def test_resolve_weights__are_cached_until_the_setting_changes(configure: Any) -> None:
    assert ranking._default_weights() is ranking._default_weights()
    with override_settings(DEBUG=True):
        pass
    configure(RANKING={"bits": 1})
    assert ranking.resolve_weights() == {"bits": 1}


def test_forget_default_weights__only_where_the_setting_changes() -> None:
    weights = ranking._default_weights()
    ranking._forget_default_weights(setting="DEBUG")
    assert ranking._default_weights() is weights
    ranking._forget_default_weights(setting="SIMILAR_IMAGES")
    assert ranking._default_weights() is not weights


def test_resolve_weights__of_a_method_or_a_ranking() -> None:
    assert ranking.resolve_weights("bits") == {"bits": 1}
    assert ranking.resolve_weights(ranking={"bits": 2, "mean": 0}) == {"bits": 2}
    assert isinstance(ranking.resolve_weights(ranking={"bits": 2})["bits"], float)
    assert ranking.resolve_weights(ranking={"bits": 1_000_000}) == {"bits": 1_000_000}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "mean", "ranking": {"mean": 1}}, "Choose either a method or a ranking, not both."),
        ({"method": "nonsense"}, "Unknown method “nonsense”. Choices: mean, bits."),
        ({"ranking": {"maen": 1}}, "Unknown method “maen”. Choices: mean, bits. Did you mean “mean”?"),
        ({"ranking": {"mean": 1, "nonsense": 1}}, "Unknown method “nonsense”. Choices: mean, bits."),
        ({"ranking": "nonsense"}, "There is no ranking preset “nonsense”. Choices: product, photo, logo, best, copy."),
        ({"ranking": {}}, OUT_OF_RANGE),
        ({"ranking": ""}, OUT_OF_RANGE),
        ({"ranking": {"mean": 0}}, OUT_OF_RANGE),
        ({"ranking": {"mean": -1}}, OUT_OF_RANGE),
        (
            {"ranking": {"mean": 1_000_001}},
            OUT_OF_RANGE,
        ),
    ],
)
def test_resolve_weights__refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"[.?]$") as error:
        ranking.resolve_weights(**options)
    assert str(error.value) == message


def test_normalized_weights__are_shares_of_1() -> None:
    assert ranking.normalized_weights() == {"mean": 0.75, "bits": 0.25}


def test_fuse_scores__is_the_weighted_mean_over_the_methods_that_there_are() -> None:
    scores = [{"mean": 100, "bits": 60}, {"mean": 40}, {"bits": 80, "other": 0}]
    assert ranking.fuse_scores(scores, {"mean": 3, "bits": 1}) == [90, 40, 80]
    assert ranking.fuse_scores([], {"mean": 3}) == []


def test_image_similarity__is_the_fused_similarity_of_two_images() -> None:
    """Two grays that are 85 levels apart: a distance of 1 by "mean", which is 50%, and the same bits."""
    a, b = (ComparisonImage(np.full((8, 8, 3), level, np.uint8)) for level in (0, 85))
    assert ranking.image_similarity(a, b) == pytest.approx(0.75 * 50 + 0.25 * 100, abs=0.1)
    assert ranking.image_similarity(a, a) == 100


def test_text_methods__are_those_that_take_text(configure: Any) -> None:
    assert ranking.text_methods() == []
    with pytest.raises(ValueError, match="No method here understands text"):
        ranking.resolve_text_method()
    configure(METHODS={"tests.methods.Bits": {}, "reader": {"class": "tests.methods.SlowReader"}}, RANKING={"bits": 1})
    assert ranking.text_methods() == ["reader"]


def test_resolve_text_method__is_the_named_one_or_the_first(configure: Any) -> None:
    reader = {"class": "tests.methods.SlowReader"}
    configure(METHODS={"tests.methods.Bits": {}, "first": reader, "second": reader}, RANKING={"bits": 1})
    assert ranking.resolve_text_method() == "first"
    assert ranking.resolve_text_method("second") == "second"
    with pytest.raises(ValueError, match="one method, not a ranking"):
        ranking.resolve_text_method(ranking={"first": 1})
    with pytest.raises(ValueError, match=r"“bits” does not understand text\. Choices: first, second"):
        ranking.resolve_text_method("bits")
