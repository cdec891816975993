"""Ranking presets: their weights, where they are accepted, and messages on methods that are not enabled."""

from __future__ import annotations

from typing import Any

import pytest

import similar_images
from similar_images import conf, plugins, ranking_presets, signatures
from similar_images.checks import setting
from similar_images.measures.base import ComparisonImage
from similar_images.search import ranking
from tests import drawing
from tests.testapp.models import Picture


@pytest.mark.parametrize("name", ranking_presets.RANKING_PRESETS)
def test_presets__weigh_built_in_methods_and_their_weights_add_up(name: str) -> None:
    assert ranking_presets.RANKING_PRESETS[name].keys() <= {*signatures.BUILT_IN_METHODS, "embedding-lite2"}
    assert sum(ranking_presets.RANKING_PRESETS[name].values()) == pytest.approx(1)
    assert ranking.resolve_weights(ranking=name) == ranking_presets.resolve_preset(name, plugins.enabled_methods())


def test_weights__are_those_of_the_enabled_methods() -> None:
    assert ranking_presets.resolve_preset("logo", ["phash", "wavelet"]) == {"wavelet": 0.1, "phash": 0.05}
    assert ranking_presets.resolve_preset({"phash": 2}, []) == {"phash": 2}
    with pytest.raises(ValueError, match="product, photo"):
        ranking_presets.resolve_preset("nonsense", ["embedding"])
    with pytest.raises(ValueError, match="embedding, color"):
        ranking_presets.resolve_preset("photo", ["phash"])


def test_setting__takes_a_preset_and_refuses_another_name(configure: Any) -> None:
    configure(RANKING="photo")
    assert conf.find_problems({"RANKING": "photo"}) == []
    assert "product, photo, logo, best, copy" in conf.find_problems({"RANKING": "nonsense"})[0]
    assert ranking.resolve_weights() == {"embedding": 0.95, "color": 0.05}
    view = ComparisonImage(drawing_pixels(1))
    assert ranking.image_similarity(view, view) == pytest.approx(100)


def drawing_pixels(seed: int) -> Any:
    import numpy as np

    return np.array(drawing.scene(seed))


def test_checks__name_what_a_preset_lacks(configure: Any) -> None:
    configure(RANKING="product")
    (warning,) = setting.check_setting()
    assert (warning.id, "wavelet" in warning.msg, "color" in warning.msg) == ("similar_images.W006", True, False)
    configure(METHODS={"embedding": {}, "color": {}, "wavelet": {}})
    assert setting.check_setting() == []
    configure(METHODS={"tiny": {}})
    (error,) = setting.check_setting()
    assert error.id == "similar_images.E004"


@pytest.mark.django_db
def test_search__takes_a_preset_in_python_over_rest_and_on_the_page(
    make_picture: Any, index_now: Any, client: Any
) -> None:
    item, other = make_picture(1), make_picture(2)
    index_now()
    (match,) = similar_images.similar_to(item, ranking="copy")
    by_hand = (0.5 * match.scores["embedding"] + 0.2 * match.scores["color"]) / 0.7
    assert match.similarity == pytest.approx(by_hand, abs=0.11)
    address = f"/api/similar-images/testapp.picture/{item.pk}/similar/"
    assert client.get(address, {"ranking": "copy"}).json()["results"][0]["similarity"] == match.similarity
    refused = client.get(address, {"ranking": "nonsense"})
    assert (refused.status_code, "product, photo" in refused.json()["errors"]["ranking"][0]) == (400, True)
    page = client.get(f"/similar-images/testapp.picture/{item.pk}/", {"ranking": "copy"})
    assert [m.object for m in page.context["matches"]] == [other]
    assert Picture.objects.count() == 2
