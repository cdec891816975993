"""Structure, visible differences and exact blocks, against scikit-image, NumPy and what people see."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut, chelsea
from skimage.metrics import structural_similarity

from similar_images import measures, plugins
from similar_images.measures import structure
from similar_images.measures.base import ComparisonImage, Unavailable
from similar_images.measures.geometry.homography import scale_matrix
from similar_images.measures.geometry.registered_pair import register_pair
from tests.measures.contract import MeasureContract
from tests.signatures.contract import draw


def recompressed(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(file, cv2.IMREAD_COLOR_RGB)


def photo(long_side: int = 320) -> NDArray[np.uint8]:
    height, width = chelsea().shape[:2]
    size = long_side, round(long_side * height / width)
    return np.asarray(cv2.resize(chelsea(), size, interpolation=cv2.INTER_AREA), np.uint8)


class TestSsim(MeasureContract):
    symmetry = 0.05  # if one is cropped or mirrored, the second is warped onto the first
    name = "ssim"

    @pytest.mark.parametrize("quality", [10, 50, 90])
    def test_value__equals_scikit_image(self, quality: int) -> None:
        a, b = photo(), recompressed(photo(), quality)
        gray = [cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in (a, b)]
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        expected, ssim_map = structural_similarity(*gray, full=True, **options)
        result = plugins.load_measure("ssim", {}).measure(a, b)
        assert result.value == pytest.approx(expected, abs=1e-4)
        np.testing.assert_allclose(result.artifacts[1][5:-5, 5:-5], ssim_map[5:-5, 5:-5], atol=1e-3)

    def test_value__resized_copy(self, measure: measures.Measure) -> None:
        half = cv2.resize(photo(), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        assert measure.measure(photo(), half).value > 0.95
        assert measure.measure(photo(), astronaut()).value < 0.3

    def test_drawing__is_bright_where_the_images_differ(self, measure: measures.Measure) -> None:
        a = photo()
        b = a.copy()
        b[100:140, 200:240] = draw(40, 40)
        images = ComparisonImage(a), ComparisonImage(b)
        panel = measure.draw("ssim", *images, measure.measure(*images))
        ssim_map = panel[:, -a.shape[1] :].sum(2)
        assert ssim_map[105:135, 205:235].mean() > 1.5 * ssim_map[:80].mean()


class TestFlip(MeasureContract):
    symmetry = 0.05  # as for SSIM
    name = "flip"

    @pytest.mark.parametrize("picture", [chelsea, astronaut])
    def test_reencoded__has_no_visible_difference(self, measure: measures.Measure, picture: object) -> None:
        pixels = picture()
        details = measure.measure(pixels, recompressed(pixels, 85)).details
        assert not details["visible"]
        assert "region" not in details

    def test_moved_logo__is_located(self, measure: measures.Measure) -> None:
        height, width = chelsea().shape[:2]
        a, b = chelsea().copy(), chelsea().copy()
        for pixels, x in ((a, 30), (b, 300)):
            cv2.circle(pixels, (x + 20, 60), 20 if x == 30 else 28, (250, 230, 40), -1)
        details = measure.measure(recompressed(a, 85), recompressed(b, 85)).details
        assert details["visible"]
        left, top, wide, high = np.multiply(details["region"], [width, height, width, height])
        assert (left, top) == pytest.approx((320 - 28, 60 - 28), abs=9)
        assert (wide, high) == pytest.approx((57, 57), abs=15)
        area = np.pi * (20**2 + 28**2) / width / height
        assert area <= details["share"] < 2 * area

    def test_check__says_what_to_install(self, measure: measures.Measure, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(structure, "find_spec", lambda name: None)
        (sentence,) = measure.check()
        assert "similar_images[compare]" in sentence
        with pytest.raises(Unavailable, match=r"similar_images\[compare\]"):
            measure.measure(photo(), photo())


class TestExactBlocks(MeasureContract):
    name = "exact-blocks"

    def test_unrelated_image__is_not_read_to_the_end(self, measure: measures.Measure) -> None:
        result = measure.measure(photo(), astronaut())
        assert result.details["read"] < result.details["blocks"] == 64
        assert result.value == (result.details["read"] - 1) / 64

    def test_one_block_differs__is_found(self) -> None:
        measure = plugins.load_measure("exact-blocks", {"blocks": 4, "tolerance": 1})
        a = draw(80, 120)
        b = a.copy()
        b[20:40, 90:120] = 255 - b[20:40, 90:120]
        result = measure.measure(a, b)
        assert result.details["region"] == [0.75, 0.25, 0.25, 0.25]
        assert 0 < result.value < 1

    @pytest.mark.parametrize("blocks", [1, 3, 8])
    def test_means__are_those_of_numpy(self, blocks: int) -> None:
        a, b = draw(24 * 4, 24 * 5), recompressed(draw(24 * 4, 24 * 5), 30)
        cut = [pixels.reshape(blocks, 96 // blocks, blocks, 120 // blocks, 3).mean((1, 3)) for pixels in (a, b)]
        worst = np.abs(cut[0] - cut[1]).max()
        for tolerance, same in ((worst + 1e-6, True), (worst - 1e-6, False)):
            result = plugins.load_measure("exact-blocks", {"blocks": blocks, "tolerance": tolerance}).measure(a, b)
            assert (result.value == 1) is same

    def test_reencoded__has_no_block_that_differs(self, measure: measures.Measure) -> None:
        assert measure.measure(chelsea(), recompressed(chelsea(), 60)).value == 1

    @pytest.mark.parametrize("options", [{"blocks": 0}, {"tolerance": -1}])
    def test_options__refused(self, options: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="must be"):
            structure.ExactBlocks(**options)


def test_register_pair__with_a_matrix__masks_the_overlap() -> None:
    a, part = photo(), photo()[40:120, 100:220]
    matrix = np.array([[1, 0, 100], [0, 1, 40], [0, 0, 1.0]])
    pair = register_pair(ComparisonImage(a), ComparisonImage(part), 320, matrix)
    assert (pair.b == a).all()
    expected = np.zeros(a.shape[:2], bool)
    expected[40:120, 100:220] = True
    assert (pair.valid_mask == expected).all()


def test_register_pair__with_a_matrix_at_another_size() -> None:
    a = cv2.GaussianBlur(photo(640), (0, 0), 3)
    b = cv2.resize(a[100:300, 200:500], None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    matrix = np.array([[1, 0, 200], [0, 1, 100], [0, 0, 1.0]]) @ scale_matrix(b.shape, (200, 300))
    pair = register_pair(ComparisonImage(a), ComparisonImage(b), 320, matrix)
    assert pair.a.shape == pair.b.shape
    assert max(pair.size) == 320
    assert pair.valid_mask.mean() == pytest.approx(200 * 300 / a[..., 0].size, rel=0.03)
    assert np.abs(pair.a.astype(int) - pair.b)[pair.valid_mask].mean() < 1


def test_register_pair__ignores_a_matrix_without_overlap() -> None:
    images = ComparisonImage(photo()), ComparisonImage(draw(90, 80))
    away = np.array([[1, 0, 5000], [0, 1, 0], [0, 0, 1.0]])
    assert (register_pair(*images, 320, away).b == register_pair(*images, 320).b).all()


def test_register_pair__is_symmetric() -> None:
    a, b = ComparisonImage(photo()), ComparisonImage(draw(90, 80))
    pair, swapped = register_pair(a, b, 320), register_pair(b, a, 320)
    assert pair.size == (80, 90)
    assert (pair.a == swapped.b).all()
    assert (pair.b == swapped.a).all()
