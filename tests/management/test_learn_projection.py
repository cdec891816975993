"""Projections learned from similar images: activated if they find more in other groups, otherwise refused."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.files.base import ContentFile
from django.core.management import CommandError

import similar_images
from similar_images import plugins, registry, signatures, status
from similar_images.evaluation.cross_validation import cross_validate
from similar_images.evaluation.description import describe_images
from similar_images.evaluation.labeled_images import LabeledImage, read_folder
from similar_images.evaluation.training_set import TrainingSet
from similar_images.indexing import hnsw, outbox, pruning, sweep, versions
from similar_images.models import MethodVersion, Projection, Signature
from similar_images.signatures.embedding import Embedding
from similar_images.signatures.projection import ProjectedMethod, can_project
from tests import commands
from tests.datasets import DATASETS, needs
from tests.methods import PX, Wide
from tests.testapp.models import Picture, Shelf

GROUPS, EACH = 12, 6
NO_PAIRS = np.zeros((0, 2), np.intp)


def noisy_groups(groups: int = GROUPS, each: int = EACH, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """256 gray values of images in groups: a shared pattern hidden by three patterns that are three times as strong."""
    rng = np.random.default_rng(seed)
    shared, nuisance = rng.normal(0, 8, (groups, 256)), np.random.default_rng(99).normal(0, 1, (3, 256))
    numbers = np.repeat(np.arange(groups), each)
    noise = rng.normal(0, 14, (len(numbers), 3)) @ nuisance + rng.normal(0, 3, (len(numbers), 256))
    values = 128 + shared[numbers] + noise
    return values.clip(0, 255), numbers


def make_training_set(numbers: np.ndarray | None = None, dissimilar: np.ndarray = NO_PAIRS) -> TrainingSet:
    values, groups = noisy_groups()
    return TrainingSet(values.astype(np.float32), groups if numbers is None else numbers, dissimilar)


def test_cross_validation__gains_if_nuisance_hides_similarity() -> None:
    validation = cross_validate(make_training_set())
    base, learned = validation.means
    assert base < 0.6
    assert learned > base + 0.2
    assert validation.gain_interval[0] > 0
    assert validation.has_significant_gain


def test_cross_validation__gains_nothing_from_random_labels() -> None:
    for seed in range(3):
        validation = cross_validate(make_training_set(np.random.default_rng(seed).permutation(noisy_groups()[1])))
        assert not validation.has_significant_gain, seed


def test_split__has_no_group_in_both_halves() -> None:
    whole = make_training_set()
    a, b = whole.split(1)
    assert not set(a.groups) & set(b.groups)
    assert len(a.groups) + len(b.groups) == len(whole.groups)


def test_training_set__dissimilar_pair_is_not_relevant_and_stays_with_its_images() -> None:
    values = np.array([[1, 0, 0], [1, 0, 0], [1, 0.1, 0], [0, 0, 1]], np.float32)
    training_set = TrainingSet(values, np.array([0, 0, 0, 1]), np.array([[0, 1], [0, 3]]))
    assert training_set.average_precisions()[2] == pytest.approx(1)
    assert training_set.average_precisions()[0] < 1, "its duplicate ranks first, and is not relevant"
    assert np.isnan(training_set.average_precisions()[3])
    assert training_set.subset([0]).dissimilar.tolist() == [[0, 1]]


def test_training_set__damps_less_where_dissimilar_pairs_differ() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 0.1, (80, 4)).astype(np.float32)
    values[:, 0] += rng.normal(0, 1, 80)
    dissimilar = np.array([[i, i + 1] for i in range(0, 80, 2)])
    training_set = TrainingSet(values, np.arange(80) // 4, dissimilar)
    gains = [float(np.linalg.norm(training_set.fit(0.1, contrast)[1][0])) for contrast in (0.0, 1.0)]
    assert gains[0] < 0.4 < gains[1] < 1


@needs(DATASETS)
@pytest.mark.parametrize(
    ("name", "label", "groups", "each"), [("clothing", "class", 10, 12), ("grocery", "group", 24, 4)]
)
def test_cross_validation__on_photos(name: str, label: str, groups: int, each: int) -> None:
    """Products of a grocery teach what other products are alike; ten classes of clothes are too few to be sure."""
    chosen: dict[str, list[LabeledImage]] = {}
    for item in read_folder(DATASETS / name):
        if item.labels[label] in chosen or len(chosen) < groups:
            chosen.setdefault(item.labels[label], []).append(item)
    items = [item for members in chosen.values() for item in members[:each]]
    values = describe_images(items, {"embedding": Embedding()}, max_pixels=10**7).signatures["embedding"].dense
    numbers = np.unique([item.labels[label] for item in items], return_inverse=True)[1]
    validation = cross_validate(TrainingSet(values, numbers, NO_PAIRS))
    base, learned = validation.means
    assert learned > base
    assert validation.has_significant_gain == (name == "grocery")
    assert not cross_validate(
        TrainingSet(values, np.random.default_rng(0).permutation(numbers), NO_PAIRS)
    ).has_significant_gain


@pytest.fixture
def shop(db: None, configure: Any, index_now: Any) -> list[Picture]:
    """Indexed pictures that the method Wide sees as `noisy_groups` draws them, on a shelf for every group."""
    configure(METHODS={"tests.methods.Wide": {}}, RANKING={"wide": 1})
    values, numbers = noisy_groups()
    shelves = [Shelf.objects.create(name=f"{number}") for number in range(GROUPS)]
    pictures = [
        Picture.objects.create(image=image_file(row), title=f"{number}", shelf=shelves[number])
        for row, number in zip(values, numbers.tolist(), strict=True)
    ]
    index_now()
    return pictures


def image_file(values: np.ndarray) -> ContentFile[bytes]:
    gray = np.kron(values.reshape(16, 16), np.ones((4, 4))).round().astype(np.uint8)
    return ContentFile(cv2.imencode(".png", gray)[1].tobytes(), "noisy.png")


def learn(**options: Any) -> str:
    return commands.run("learn_projection", "testapp.Picture", **{"method": "wide", **options})[0]


def active_version() -> MethodVersion:
    return MethodVersion.objects.get(source__model="picture", name="wide", is_active=True)


def hit_rate(pictures: list[Picture]) -> float:
    """The share of first matches on the shelf of their query."""
    firsts = [similar_images.similar_to(picture, limit=1)[0].object for picture in pictures]
    return float(np.mean([match.shelf_id == picture.shelf_id for match, picture in zip(firsts, pictures, strict=True)]))


def test_command__activates_a_projection_without_a_gap_in_searches(
    shop: list[Picture], index_now: Any, monkeypatch: Any
) -> None:
    before = hit_rate(shop[::4])
    gaps = []
    fill = versions.fill_projection
    monkeypatch.setattr(
        versions,
        "fill_projection",
        lambda *args: (gaps.append(len(similar_images.similar_to(shop[0]))) or n for n in fill(*args)),
    )
    assert "Switched." in learn(by="shelf_id")
    assert gaps == [12]
    assert hit_rate(shop[::4]) > before + 0.2
    row = active_version()
    assert row.projection.is_enabled
    assert row.projection.learned_from == {"by": "shelf_id", "pictures": 72, "groups": 12}
    assert row.projection.figures["mAP"]["projection"] > row.projection.figures["mAP"]["base"]
    assert set(Signature.objects.filter(version=row.version).values_list("record__status", flat=True)) == {"indexed"}
    assert Signature.objects.filter(version=row.version).count() == len(shop)
    assert not outbox.outdated_records(registry.get_source(Picture)).exists(), "no image is left to be read"


def test_command__projects_uploads_and_new_images_alike(shop: list[Picture], index_now: Any) -> None:
    learn(by="shelf_id")
    values, _numbers = noisy_groups()
    (match, *_rest) = similar_images.similar_to(io.BytesIO(image_file(values[7]).read()), model=Picture)
    assert (match.object, match.similarity) == (shop[7], 100.0)
    assert match.distances["wide"] < 1e-3
    new = Picture.objects.create(image=image_file(values[7]))
    index_now()
    assert Signature.objects.filter(record__object_id=new.pk).count() == 2, "the original and the projected one"
    assert similar_images.similar_to(new)[0].object == shop[7]
    assert similar_images.similar_to(shop[7])[0].object == new


def test_command__computes_a_new_image_once(shop: list[Picture], index_now: Any, monkeypatch: Any) -> None:
    learn(by="shelf_id")
    calls = []
    compute = Wide.compute
    monkeypatch.setattr(Wide, "compute", lambda self, pixels: calls.append(1) or compute(self, pixels))
    Picture.objects.create(image=image_file(noisy_groups(seed=5)[0][0]))
    index_now()
    assert len(calls) == 1


def test_command__off_restores_the_former_results_at_once(shop: list[Picture]) -> None:
    before = similar_images.similar_to(shop[0])
    learn(by="shelf_id")
    assert similar_images.similar_to(shop[0]) != before
    assert "Switched." in learn(off=True)
    assert similar_images.similar_to(shop[0]) == before
    assert sum(pruning.prune_versions(registry.get_sources())) == len(shop)
    assert not Projection.objects.exists()


def test_prune__keeps_the_signatures_that_the_next_projection_is_learned_from(shop: list[Picture]) -> None:
    learn(by="shelf_id")
    assert sum(pruning.prune_versions(registry.get_sources())) == 0
    assert "Switched." in learn(by="title"), "the same labels teach the same projection"
    assert Projection.objects.filter(is_enabled=True).count() == 1


def test_command__refuses_random_labels(shop: list[Picture], tmp_path: Path) -> None:
    before = similar_images.similar_to(shop[0])
    labels = np.random.default_rng(0).permutation(GROUPS * EACH) % GROUPS
    rows = [f"{picture.pk},{label}" for picture, label in zip(shop, labels, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join(["pk,label", *rows]))
    out = io.StringIO()
    with pytest.raises(CommandError, match="Not activated: the gain") as refused:
        learn(labels=tmp_path / "labels.csv", stdout=out)
    assert refused.value.returncode == 3
    assert "72 images in 12 groups. Mean average precision" in out.getvalue()
    assert similar_images.similar_to(shop[0]) == before
    assert not Projection.objects.exists()


def test_command__learns_from_pairs(shop: list[Picture], tmp_path: Path) -> None:
    alike = [(a, b, 1) for a, b in pairwise(shop) if a.shelf_id == b.shelf_id]
    unlike = [(shop[0], shop[EACH], 0), (shop[1], shop[2 * EACH], 0)]
    rows = [f"{a.pk},{b.pk},{flag}" for a, b, flag in (*alike, *unlike)]
    (tmp_path / "pairs.csv").write_text("\n".join(["pk_a,pk_b,alike", *rows]))
    assert "72 images in 12 groups" in learn(pairs=tmp_path / "pairs.csv")
    assert Projection.objects.get().learned_from["pairs"].endswith("pairs.csv")


def test_command__learns_from_marks(shop: list[Picture]) -> None:
    for a, b in pairwise(shop):
        if a.shelf_id == b.shelf_id:
            similar_images.mark(a, b, alike=True)
    similar_images.mark(shop[0], shop[EACH], alike=False)
    assert "72 images in 12 groups" in learn(marks=True)
    assert Projection.objects.get().learned_from["marks"] == "True"


def test_command__dry_run_activates_nothing(shop: list[Picture]) -> None:
    assert "with the projection" in learn(by="shelf__name", dry_run=True)
    assert not Projection.objects.exists()


def test_sweep__adds_projected_signatures_of_locked_records(shop: list[Picture]) -> None:
    learn(by="shelf_id")
    projected = active_version().version
    Signature.objects.filter(version=projected, record__object_id=shop[0].pk).delete()
    assert sweep.sweep_sources() == 0, "no image is read for it"
    assert Signature.objects.filter(version=projected).count() == len(shop)


def test_new_base_version__replaces_the_projection_of_the_former_one(
    shop: list[Picture], configure: Any, index_now: Any, monkeypatch: Any
) -> None:
    learn(by="shelf_id")
    source = registry.get_source(Picture)
    projected = versions.active_versions(source)["wide"].version
    monkeypatch.setattr(Wide, "version", "2")
    assert versions.configured_methods(source)["wide"].version == f"2{PX}"
    assert sweep.sweep_sources() == len(shop)
    versions.switch_versions()
    assert versions.active_versions(source)["wide"].version == projected
    assert similar_images.similar_to(shop[0])


def test_status__shows_the_version_of_the_projection(shop: list[Picture], rf: Any) -> None:
    learn(by="shelf_id")
    request = rf.get("/")
    request.user = AnonymousUser()
    entry = next(row for row in status.index_status(request)["indexes"] if row["source"] == "testapp.Picture.image")
    assert entry["version"].startswith(f"1{PX}-p")
    assert entry["next_version"] == ""


def test_hnsw_index__is_required_for_the_projection_only(shop: list[Picture], configure: Any) -> None:
    learn(by="shelf_id")
    configure(HNSW_MIN_ROWS=10)
    required = [row.version for row in hnsw.required_indexes() if row.source.model == "picture"]
    assert [version.rpartition("-p")[0] for version in required] == [f"1{PX}"]


def test_similarities__are_calibrated_again(shop: list[Picture]) -> None:
    learn(by="shelf_id")
    row = active_version()
    assert row.is_calibrated
    assert row.curve[0] == [0, 100]
    assert row.curve != [list(point) for point in Wide.curve]
    random = [match.similarity for picture in shop[::9] for match in similar_images.similar_to(picture, limit=71)]
    assert np.median(random) == pytest.approx(2, abs=2)
    commands.run("calibrate_similarity", model=["testapp.Picture"])
    assert versions.active_versions(registry.get_source(Picture))["wide"].version == row.version


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "Choose what to learn from"),
        ({"by": "nope"}, "--by: Cannot resolve keyword 'nope'"),
        ({"by": "shelf_id", "method": "nope"}, "Unknown method: nope"),
        ({"by": "shelf_id", "method": "color"}, "can't be projected"),
        ({"by": "shelf_id"}, "0 indexed images in 0 groups of two or more are too few"),
        ({"labels": Path("/nowhere.csv")}, "can't be read"),
        ({"labels": Path(__file__)}, "lacks the columns label, pk"),
        ({"field": "nope"}, "nope"),
    ],
)
def test_command__rejects_invalid_options(options: dict[str, Any], reason: str, configure: Any) -> None:
    configure(METHODS={"tests.methods.Wide": {}, "color": {}}, RANKING={"wide": 1})
    with pytest.raises(CommandError, match=reason):
        learn(**options)


@pytest.mark.django_db
def test_command__rejects_an_invalid_primary_key(tmp_path: Path, configure: Any) -> None:
    configure(METHODS={"tests.methods.Wide": {}}, RANKING={"wide": 1})
    (tmp_path / "labels.csv").write_text("pk,label\nchair,1\n")
    with pytest.raises(CommandError, match=r"'chair' is not a primary key of testapp.Picture"):
        learn(labels=tmp_path / "labels.csv")


@pytest.mark.django_db
@pytest.mark.parametrize("word", ["yes", "True", "1.0", ""])
def test_command__rejects_other_flags_than_1_and_0(word: str, tmp_path: Path, configure: Any) -> None:
    """Taken for "not alike", a yes would teach the opposite."""
    configure(METHODS={"tests.methods.Wide": {}}, RANKING={"wide": 1})
    (tmp_path / "pairs.csv").write_text(f"pk_a,pk_b,alike\n1,2,{word}\n")
    with pytest.raises(CommandError, match="alike must be 1 or 0 in every row"):
        learn(pairs=tmp_path / "pairs.csv")


@pytest.mark.django_db
def test_command__names_the_missing_package(monkeypatch: Any, configure: Any) -> None:
    configure(METHODS={"tests.methods.Wide": {}}, RANKING={"wide": 1})
    monkeypatch.setattr("similar_images.management.commands.learn_projection.find_spec", lambda name: None)
    with pytest.raises(CommandError, match=r'pip install "similar_images\[learn\]"'):
        learn(by="shelf_id")
    assert "Switched." in learn(off=True)


def test_can_project__only_dense_cosine_methods_without_low_detail() -> None:
    can = {name for name in signatures.BUILT_IN_METHODS if can_project(plugins.load_method(name, {}))}
    assert can == {"embedding"}


def test_projected_method__gives_unit_vectors_alone_and_in_batches() -> None:
    rng = np.random.default_rng(0)
    mean, matrix = rng.normal(0, 1, 256).astype(np.float32), rng.normal(0, 1, (256, 3)).astype(np.float32)
    method = ProjectedMethod(
        Wide(), version="x", dimensions=3, curve=Wide.curve, mean=mean.tobytes(), matrix=matrix.tobytes()
    )
    pixels = rng.integers(0, 256, (32, 32, 3), np.uint8)
    value = method.compute(pixels)
    assert value.shape == (3,)
    assert np.linalg.norm(value) == pytest.approx(1, abs=1e-6)
    stored = Wide().compute(pixels).astype(np.half).astype(np.float32)
    assert method.project(np.array([stored, stored]))[1] == pytest.approx(value, abs=1e-6)
