"""The plain answer: intervals, which setting is better, what fails, and what it rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from similar_images.evaluation import assessment_text
from similar_images.evaluation.assessment import SHOWN, Assessment, SettingVerdict, Truth, assess
from similar_images.evaluation.compared_settings import ComparedSetting, select_preset
from similar_images.evaluation.confidence import MIN_UNITS, bootstrap_interval
from similar_images.evaluation.description import DescribedSet
from similar_images.evaluation.evaluator import Evaluator
from similar_images.evaluation.labeled_images import LabeledImage
from similar_images.evaluation.marked_labels import MARKS_LABEL, label_by_marks
from similar_images.evaluation.misses import MAX_MISSES_OF_GROUP, find_worst_misses
from similar_images.evaluation.neighbor_reranking import NeighborReranker
from similar_images.ranking_presets import RANKING_PRESETS
from similar_images.registry import get_source
from similar_images.search.rerank.neighbors import MAX_SMOOTHED
from similar_images.signatures.distances import SignatureArray
from tests.methods import Mean
from tests.testapp.models import Picture


class Weak(Mean):
    """The same by another name."""

    name = "weak"


GOOD, WEAK = ComparedSetting("mean"), ComparedSetting("weak", preset="weak")


def described_set(count: int, *, noise: float, label: str = "class") -> DescribedSet:
    """Images in groups of five; `mean` tells groups apart, `weak` less so, and its noise blurs both."""
    random = np.random.default_rng(3)
    groups = np.arange(count) // 5
    values = {
        name: random.permutation(count // 5)[groups, None] / (count // 5) + random.normal(0, deviation, (count, 3))
        for name, deviation in (("mean", noise), ("weak", 6 * noise + 0.02))
    }
    images = [LabeledImage(f"{i}.png", bytes, {label: f"g{group}"}, str(i)) for i, group in enumerate(groups)]
    signatures = {
        name: SignatureArray(method, list(values[name].astype(np.float32)))
        for name, method in (("mean", Mean()), ("weak", Weak()))
    }
    return DescribedSet(images, signatures, {}, {})


def assess_set(described: DescribedSet, *settings: ComparedSetting) -> Assessment:
    evaluator = Evaluator({"mean": {"mean": 1}, "weak": {"weak": 1}}, lambda items, **_options: items, print)
    assessment = assess(evaluator.evaluate("set", described), settings)
    assert assessment
    return assessment


def test_interval__holds_the_mean_of_other_samples_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _round in range(300):
        low, high = bootstrap_interval((random.random(120) < 0.8).astype(float), np.arange(120))
        held += low <= 0.8 <= high
    assert 0.91 <= held / 300 <= 0.98


def test_interval__is_wider_where_queries_depend_on_each_other() -> None:
    scores = np.repeat(np.random.default_rng(2).random(40), 10)
    apart, together = (bootstrap_interval(scores, units) for units in (np.arange(400), np.arange(400) // 10))
    assert (together.high - together.low) > 2 * (apart.high - apart.low)
    assert apart.low < scores.mean() < apart.high


def test_interval__is_wider_with_more_comparisons_and_never_of_no_width() -> None:
    scores, units = np.random.default_rng(2).random(100), np.arange(100)
    once, thrice = bootstrap_interval(scores, units), bootstrap_interval(scores, units, 3)
    assert thrice.low < once.low < once.high < thrice.high
    assert bootstrap_interval(np.ones(60), np.arange(60)) == pytest.approx((0.95, 1.05))


def test_setting__that_is_better_or_worse_is_told() -> None:
    described = described_set(200, noise=0.004)
    assessment = assess_set(described, WEAK, GOOD)
    assert (assessment.truth, assessment.label, assessment.queries) == (Truth.FIELD, "class", 200)
    present, other = assessment.settings
    assert present.mean < other.mean
    assert other.judge(assessment.units) is SettingVerdict.BETTER
    assert assessment.better is other
    assert present.interval.low < present.mean < present.interval.high
    assert other.gain == pytest.approx(other.mean - present.mean)
    back = assess_set(described, GOOD, WEAK)
    assert back.settings[1].judge(back.units) is SettingVerdict.WORSE
    assert back.better is None
    assert back.chance == pytest.approx(5 / 199), "each is among the first five"


def test_same_setting__makes_no_difference() -> None:
    described = described_set(100, noise=0.01)
    described.signatures["weak"] = described.signatures["mean"]
    assessment = assess_set(described, GOOD, WEAK)
    assert assessment.settings[1].judge(assessment.units) is SettingVerdict.NO_DIFFERENCE
    assert "none of the others is clearly better" in assessment_text.describe_advice(assessment)


def test_few_queries__are_too_few_to_tell() -> None:
    assessment = assess_set(described_set(MIN_UNITS - 5, noise=0.002), WEAK, GOOD)
    assert assessment.settings[1].judge(assessment.units) is SettingVerdict.TOO_FEW
    lines = "\n".join(assessment_text.answer_in_lines(assessment, "Pictures", "class"))
    assert f"too few to tell: it rests on {MIN_UNITS - 5} independent searches" in lines
    assert "Keep the present setting until there is more to tell by." in lines
    assert "better" not in lines


def test_score__is_of_the_first_results_or_of_all_that_could_be_right() -> None:
    """Of groups of five, the four others can be among the first five; all are where there is no noise."""
    assert SHOWN == 5
    assert assess_set(described_set(60, noise=0), GOOD).present.mean == 1


def test_worst_groups__and_misses_of_several() -> None:
    described = described_set(200, noise=0.004)
    described.signatures["mean"].dense[:15] = np.random.default_rng(5).random((15, 3))  # three groups are lost
    assessment = assess_set(described, GOOD, WEAK)
    assert {group.name for group in assessment.groups[:3]} == {"g0", "g1", "g2"}
    assert all(group.count == 5 and group.mean < 0.5 for group in assessment.groups[:3])
    misses = find_worst_misses(assessment, {"mean": 1})
    assert {miss.group for miss in misses[:6]} == {"g0", "g1", "g2"}
    assert max(sum(other.group == miss.group for other in misses) for miss in misses) == MAX_MISSES_OF_GROUP
    for miss in misses:
        label = described.images[miss.index].labels["class"]
        assert len(miss.found) == SHOWN
        assert miss.index not in [found.index for found in miss.found]
        assert [described.images[found.index].labels["class"] == label for found in miss.found] == [
            found.is_right for found in miss.found
        ]
        assert described.images[miss.missed].labels["class"] == label
        assert miss.rank > SHOWN or any(found.is_right for found in miss.found)


def test_marks__make_labels_of_what_they_connect() -> None:
    described = described_set(10, noise=0)
    marks = [("0", "1", True), ("1", "2", True), ("3", "4", True), ("5", "6", False), ("7", "gone", True)]
    labeled, groups = label_by_marks(described, marks)
    labels = [image.labels[MARKS_LABEL] for image in labeled.images]
    assert groups == 2
    assert labels[0] == labels[1] == labels[2] != labels[3]
    assert labels[3] == labels[4]
    assert labels[5:] == [""] * 5


def test_marks__are_as_many_as_their_groups() -> None:
    """Both images of a pair are searched with, but they tell the same."""
    described = described_set(2 * MIN_UNITS, noise=0)
    marks = [(str(2 * number), str(2 * number + 1), True) for number in range(MIN_UNITS - 1)]
    labeled, groups = label_by_marks(described, marks)
    for image in labeled.images:
        image.labels.pop("class")  # type: ignore[attr-defined]  # a dict
    assessment = assess_set(labeled, GOOD, WEAK)
    assert (assessment.truth, assessment.queries) == (Truth.MARKS, 2 * groups)
    assert assessment.units == groups == MIN_UNITS - 1
    assert not assessment.is_certain


def test_preset__is_one_that_differs_and_whose_methods_are_enabled() -> None:
    default = {"embedding": 0.93, "color": 0.07}
    assert select_preset(default, ["embedding", "color", "embedding-lite2"]) == "best"
    assert select_preset(RANKING_PRESETS["best"], ["embedding", "color", "embedding-lite2"]) == "photo"
    assert select_preset(default, ["embedding", "color"]) == "product", "photo hardly differs"
    assert select_preset(default, ["embedding", "color", "wavelet", "phash"]) == "product"
    assert select_preset(RANKING_PRESETS["product"], ["embedding", "color"]) == "photo"
    assert select_preset({"mean": 1}, ["mean"]) is None


def test_change__is_code() -> None:
    assert ComparedSetting("best", preset="best").change == 'SIMILAR_IMAGES = {"RANKING": "best"}'
    assert ComparedSetting("a + neighbors", rerank="neighbors").change == 'rerank="neighbors"'
    weights = ComparedSetting("embedding:1,color:0.5", preset="embedding:1,color:0.5").change
    assert weights == 'SIMILAR_IMAGES = {"RANKING": {"embedding": 1, "color": 0.5}}'
    assert ComparedSetting("embedding:1").change == ""


def test_neighbors__of_one_method_rank_by_its_similarities() -> None:
    """A ranking by one method is re-ranked as one of that method and another one that says the same."""
    described = described_set(60, noise=0.01)
    signatures = {**described.signatures, "weak": described.signatures["mean"]}
    distances = next(signatures["mean"].distances(signatures["mean"].take(np.array([0]))))[0]
    alone = NeighborReranker({"mean": 1}, signatures).rerank(0, distances)
    similarities = np.interp(distances, *np.array(Mean().curve).T)
    both = NeighborReranker({"mean": 1, "weak": 1}, signatures).rerank(0, 100 - similarities)
    nearest = np.argsort(distances)[:MAX_SMOOTHED]
    np.testing.assert_allclose(alone[nearest], both[nearest], rtol=1e-4)
    assert alone[nearest].max() < 0 <= np.delete(alone, nearest).min()


@pytest.mark.parametrize(
    ("path", "name"),
    [("shelf__name", "shelf"), ("shelf", "shelf"), ("title", "title"), ("nowhere", "nowhere")],
)
def test_label__has_the_name_of_its_field(path: str, name: str, db: Any) -> None:
    assert assessment_text.name_label(get_source(Picture, "image"), path) == name
