"""compare(): every kind of input, every measure, and problems reported where they occur."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import similar_images
from similar_images import measures, signatures
from similar_images.comparison.compare import Incomparable, compare
from tests import drawing

QUICK = ["alignment", "intersection", "phash"]


def jpeg(seed: int, **options: Any) -> bytes:
    return drawing.encoded(drawing.scene(seed, size=(320, 240)), "JPEG", **options)


def test_compare__by_every_measure() -> None:
    result = compare(jpeg(1), jpeg(2))
    assert list(result) == [*measures.BUILT_IN_MEASURES, *signatures.BUILT_IN_METHODS]
    for name, row in result.items():
        assert row.problem == "", name
        assert row.value is not None
        assert row.similarity is not None
        assert 0 <= row.similarity <= 100
        assert row.seconds > 0


def test_compare__is_part_of_the_package() -> None:
    assert similar_images.compare is compare


@pytest.mark.parametrize("kind", ["bytes", "file", "path", "text path", "pixels"])
def test_compare__every_kind_of_input(kind: str, tmp_path: Path) -> None:
    data = drawing.encoded(drawing.scene(1, size=(320, 240)))
    (tmp_path / "scene.png").write_bytes(data)
    picture: Any = {
        "bytes": data,
        "file": io.BytesIO(data),
        "path": tmp_path / "scene.png",
        "text path": str(tmp_path / "scene.png"),
        "pixels": np.asarray(drawing.scene(1, size=(320, 240))),
    }[kind]
    result = compare(picture, data, measures=QUICK)
    assert result.verdict.kind == ("same-picture" if kind == "pixels" else "same-file")
    assert [row.similarity for row in result.values()] == [100, 100, 100]


@pytest.mark.django_db
def test_compare__objects(make_picture: Any) -> None:
    first, second = make_picture(seed=1), make_picture(seed=1)
    assert compare(first, second, measures=QUICK).verdict.kind == "same-file"
    assert compare(first, make_picture(seed=2).image, measures=QUICK).verdict.kind in ("alike", "unrelated")


def test_compare__is_reproducible() -> None:
    first, second = (compare(jpeg(1), jpeg(1, quality=40)) for _ in range(2))
    assert {name: row.value for name, row in first.items()} == {name: row.value for name, row in second.items()}
    assert first.verdict == second.verdict


def test_compare__recognizes_a_copy() -> None:
    scene = drawing.scene(1, size=(320, 240)).transpose(Image.Transpose.ROTATE_90)
    verdict = compare(jpeg(1), drawing.encoded(scene), measures=QUICK).verdict
    assert (verdict.kind, verdict.changes) == ("edited-picture", ("turned",))
    assert verdict.text == "The second image is an edited version of the first: rotated 90° counterclockwise."


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGB", (1, 1), "red"),
        Image.new("RGB", (300, 200), "white"),
        Image.new("L", (40, 3000), 7),
        Image.new("RGBA", (64, 64), (0, 0, 0, 0)),
        drawing.scene(3, size=(6000, 4000)),
    ],
    ids=["one pixel", "blank", "gray and narrow", "transparent", "huge"],
)
def test_compare__unusual_images(picture: Image.Image) -> None:
    result = compare(drawing.encoded(picture), jpeg(1))
    assert {row.problem for row in result.values()} == {""}
    for _name, _title, png in result.pictures():
        assert max(Image.open(io.BytesIO(png)).size) <= 1200


def test_compare__an_animation_by_its_first_frame() -> None:
    frames = [drawing.scene(seed, size=(160, 120)) for seed in (1, 2)]
    data = drawing.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert compare(data, drawing.encoded(frames[0]), measures=QUICK).verdict.kind == "same-picture"


def test_pictures__have_unique_names() -> None:
    names = [name for name, _title, _png in compare(jpeg(1), jpeg(1, quality=50)).pictures()]
    assert len(names) == len(set(names)) > 15
    assert {"alignment-alignment", "keypoints-rootsift-lines", "keypoints-rootsift-points", "ssim-ssim"} <= set(names)


@pytest.mark.parametrize(("a", "b", "which"), [(b"no picture", jpeg(1), "a"), (jpeg(1), b"", "b")])
def test_compare__names_the_unreadable_image(a: bytes, b: bytes, which: str) -> None:
    with pytest.raises(Incomparable) as raised:
        compare(a, b)
    assert raised.value.which == which


def test_compare__refuses_pixels_of_another_type() -> None:
    with pytest.raises(Incomparable, match="uint8 array of shape"):
        compare(np.zeros((3, 3)), jpeg(1))


def test_compare__unknown_measure() -> None:
    with pytest.raises(ValueError, match=r"no measure “taste”\. Choices: alignment"):
        compare(jpeg(1), jpeg(2), measures=["taste"])


def test_compare__a_measure_that_fails_does_not_affect_the_others(configure: Any) -> None:
    configure(MEASURES={"tests.measures.sample_measures.Failing": {}})
    result = compare(jpeg(1), jpeg(2), measures=["failing", "phash"])
    assert result["failing"].problem == "Failed; see the log for details."
    assert result["failing"].value is None
    assert result["phash"].value is not None


def test_compare__a_measure_that_times_out_is_reported(configure: Any, tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    configure(
        MEASURES={"slow": {"class": "tests.measures.sample_measures.Slow", "folder": str(tmp_path)}},
        COMPARE_TIMEOUT=0.2,
    )
    try:
        result = compare(jpeg(1), jpeg(2), measures=["slow", "phash"])
    finally:
        (tmp_path / "hold").unlink()
    assert result["slow"].problem == "Timed out."
    assert result["phash"].value is not None


def test_compare__a_measure_that_is_not_installed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("similar_images.measures.geometry.keypoint_options.find_spec", lambda name: None)
    result = compare(jpeg(1), jpeg(2), measures=["keypoints-surf", "phash"])
    assert result["keypoints-surf"].problem == "SURF needs mahotas: pip install similar_images[compare]"
    assert result["phash"].value is not None


def test_docs__name_every_measure() -> None:
    text = (Path(__file__).parents[1] / "docs" / "reference" / "measures.md").read_text(encoding="utf-8")
    for name in measures.BUILT_IN_MEASURES:
        kind = name.removeprefix("keypoints")
        assert f"`{name}`" in text or f"`{kind}`" in text, name
