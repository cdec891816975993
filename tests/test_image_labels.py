"""Labels for what an image shows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import skimage
from django.core.files.uploadedfile import SimpleUploadedFile

import similar_images
from similar_images.imaging.decode import UnreadableImage
from similar_images.imaging.timeouts import SearchTimeout
from tests import drawing, encoders

DATA = Path(skimage.__file__).parent / "data"
NAMES = {
    "chelsea.png": {"Egyptian cat", "tiger cat", "tabby"},
    "coffee.png": {"espresso"},
    "motorcycle_left.png": {"moped", "motor scooter"},
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_labels__of_known_images(name: str, expected: set[str]) -> None:
    with (DATA / name).open("rb") as file:
        labels = similar_images.labels(file)
    assert len(labels) == 5
    assert labels[0].name in expected
    scores = [label.score for label in labels]
    assert scores == sorted(scores, reverse=True)
    assert 0.2 < scores[0] <= 1
    assert 0 < sum(scores) <= 1 + 1e-9


def test_labels__are_probabilities() -> None:
    with (DATA / "coffee.png").open("rb") as file:
        labels = similar_images.labels(file, limit=1000)
    assert sum(label.score for label in labels) == pytest.approx(1)
    assert not any(label.name.isdigit() or not label.name for label in labels)


def test_labels__need_no_embedding_in_the_setting(configure: Any, tmp_path: Path) -> None:
    other = {"class": "embedding", "file": str(encoders.color_encoder(tmp_path / "x.onnx")), "dimensions": 3}
    configure(METHODS={"color": {}, "other": other}, RANKING={"color": 1})
    with (DATA / "coffee.png").open("rb") as file:
        assert similar_images.labels(file, limit=1) == [similar_images.Label("espresso", pytest.approx(0.9, abs=0.09))]


def test_labels__of_an_unreadable_file_or_too_late(configure: Any) -> None:
    with pytest.raises(UnreadableImage):
        similar_images.labels(io.BytesIO(b"x"))
    configure(REQUEST_TIMEOUT=1e-9)
    with (DATA / "coffee.png").open("rb") as file, pytest.raises(SearchTimeout):
        similar_images.labels(file)


def test_labels__have_the_limits_of_an_upload(configure: Any) -> None:
    configure(MAX_PIXELS=100)
    data = (DATA / "coffee.png").read_bytes()
    assert similar_images.labels(io.BytesIO(data), limit=1)[0].name == "espresso"
    configure(SEARCH_MAX_PIXELS=100)
    with pytest.raises(UnreadableImage, match="more than 100 pixels"):
        similar_images.labels(io.BytesIO(data))
    configure(SEARCH_MAX_BYTES=100)
    with pytest.raises(UnreadableImage, match="larger than"):
        similar_images.labels(io.BytesIO(data))


@pytest.mark.django_db
def test_rest__labels_the_upload_on_request(client: Any) -> None:
    def search(**fields: Any) -> Any:
        image = SimpleUploadedFile("coffee.png", (DATA / "coffee.png").read_bytes())
        return client.post("/api/similar-images/search/", {"image": image, "model": "testapp.picture", **fields}).json()

    assert "labels" not in search()["query"]
    assert "labels" not in search(labels="0")["query"]
    labels = search(labels="1")["query"]["labels"]
    assert len(labels) == 5
    assert set(labels[0]) == {"name", "score"}
    assert labels[0]["name"] == "espresso"


@pytest.mark.django_db
def test_page__has_no_labels(client: Any) -> None:
    assert 'name="labels"' not in client.get("/similar-images/search/").content.decode()
    image = SimpleUploadedFile("x.png", drawing.encoded(drawing.scene(1)))
    assert client.post("/similar-images/search/", {"image": image, "model": "testapp.picture"}).status_code == 200
