"""Encoders are checked and compared on the images of a source or a folder, of which none has to be indexed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError

from similar_images import marks
from similar_images.evaluation import encoder_comparison
from similar_images.models import Signature
from tests import commands, encoders

SOURCE = "testapp.Picture.image"


@pytest.fixture
def two_encoders(tmp_path: Path, configure: Any) -> None:
    """Two encoders that were added: `one`, and `two` with another seed and half as many numbers."""
    configure(ENCODERS=tmp_path / "encoders")
    options = json.dumps({"size": 32, "output": "vector"})
    for seed, (name, dimensions) in enumerate({"one": 48, "two": 24}.items()):
        path = encoders.image_encoder(tmp_path / f"{name}.onnx", dimensions=dimensions, seed=seed)
        arguments = ("--license", "MIT", "--accept-license", "--options", options)
        commands.run("encoders", "add", name, "--file", path, *arguments, verbosity=0)


def run(*args: Any) -> str:
    return commands.run("encoders", *args, verbosity=0)[0]


def test_check__tells_what_an_encoder_takes_and_finds(two_encoders: None, make_picture: Any) -> None:
    items = [make_picture(seed) for seed in (1, 1, 2)]
    report = json.loads(run("check", "one", "--source", SOURCE, "--json"))
    assert report["input"] == "picture float32 (any, 3, 32, 32), NCHW, RGB"
    assert report["normalization"] == "mean 0.485, 0.456, 0.406, standard deviation 0.229, 0.224, 0.225"
    assert report["vector"] == "48 numbers, of length 1.000"
    assert float(report["ms an image"]) > 0
    rows = {row["image"].partition(":")[0]: row for row in report["nearest"]}
    assert rows.keys() == {str(item.pk) for item in items}
    assert rows[str(items[0].pk)]["nearest"].startswith(f"{items[1].pk}:"), "of the same scene"
    assert rows[str(items[0].pk)]["similarity"] > 99
    text = run("check", "one", "--source", SOURCE)
    assert f"{items[0].pk}: " in text
    assert "→" in text
    assert not Signature.objects.exists()


def test_check__names_what_there_is(two_encoders: None) -> None:
    with pytest.raises(CommandError, match=r"no encoder 'three'. Choices: efficientnet-lite0, .*one, two"):
        run("check", "three")
    with pytest.raises(CommandError, match="needs a file"):
        run("check", "vgg16")


def test_compare__of_a_source(two_encoders: None, make_picture: Any, tmp_path: Path) -> None:
    items = [make_picture(seed, title=str(seed % 3)) for seed in range(12)]
    for a, b in zip(items[:5], items[5:10], strict=True):
        marks.mark(a, b, alike=True)
    page = tmp_path / "page.html"
    arguments = ("compare", "one", "two", "--source", SOURCE, "--modified", 2, "--label", "title")
    report = json.loads(run(*arguments, "--output", page, "--json"))
    assert report["pictures"] == 12
    assert report["labeled"] == 12
    assert 0 < report["overlap"] <= 1
    assert report["encoders"].keys() == {"one", "two"}
    one, two = report["encoders"].values()
    assert (one["bytes"], two["bytes"]) == (8 + 2 * 48, 8 + 2 * 24)
    for figures in (one, two):
        assert figures["milliseconds"] > 0
        for share in ("copy_recall", "copy_rank", "precision"):
            assert 0 < figures[share] <= 1
        assert figures["agreement"] is None, "there are no pairs that were marked as different"
    html = page.read_text()
    assert html.count("data:image/jpeg;base64,") == 12 * (1 + 2 * 10)
    assert f"{items[0].pk}: " in html
    assert not Signature.objects.exists()
    table = run(*arguments)
    assert table.splitlines()[0].split() == ["one", "two"]
    assert "mAP by label" in table
    assert "agreement" not in table


def test_compare__agreement_with_marks() -> None:
    """Every pair that was marked as alike is compared with every one that was marked as different."""
    distances = np.full((20, 20), 0.5, np.float32)
    alike = [(2 * number, 2 * number + 1, True) for number in range(5)]
    different = [(10 + 2 * number, 11 + 2 * number, False) for number in range(5)]
    assert encoder_comparison._measure_agreement(distances, [*alike, *different]) == 0.5
    distances[0, 1] = 0.1
    distances[2, 3] = 0.9
    assert encoder_comparison._measure_agreement(distances, [*alike, *different]) == pytest.approx(0.5)
    distances[2, 3] = 0.2
    assert encoder_comparison._measure_agreement(distances, [*alike, *different]) == pytest.approx(0.7)
    assert encoder_comparison._measure_agreement(distances, [*alike, *different[:4]]) is None


def test_compare__of_an_encoder_with_itself_is_refused(two_encoders: None, make_picture: Any) -> None:
    make_picture(1)
    with pytest.raises(CommandError, match="two different encoders"):
        run("compare", "one", "one", "--source", SOURCE)
    with pytest.raises(CommandError, match="Fewer than two of the images"):
        run("compare", "one", "two", "--source", SOURCE)
    with pytest.raises(CommandError, match="not a folder"):
        run("compare", "one", "two", "--folder", "nowhere")
