"""Versions tell how files were decoded, so that a new decoder makes new signatures with no gap."""

from __future__ import annotations

from typing import Any

import similar_images
from similar_images import plugins, signatures
from similar_images.imaging.decoder.protocol import DECODER_GENERATION
from similar_images.indexing import versions
from similar_images.models import MethodVersion, Signature
from similar_images.signatures.pixels import DecodedPixelsMixin, generation_of
from tests import drawing
from tests.methods import Mean
from tests.testapp.models import Picture


def test_version__of_every_method_tells_the_generation() -> None:
    for name in signatures.BUILT_IN_METHODS:
        for options in ({}, {"trim": True}):
            version = plugins.load_method(name, options).version
            assert version.endswith(f"-px{DECODER_GENERATION}")
            assert generation_of(version) == DECODER_GENERATION > 1
            assert len(version) <= 64


def test_version__of_the_first_generation_has_no_suffix() -> None:
    method = plugins.load_method("color", {})
    method.generation = 1
    assert method.version == type(method).__mro__[2].version.fget(method)
    assert generation_of(method.version) == generation_of("") == 1


def test_new_decoder__is_filled_in_with_no_gap(
    mean_method: None, make_picture: Any, index_now: Any, monkeypatch: Any
) -> None:
    """The signatures of the former one serve, also for new images and searches by a file, until all are there."""
    monkeypatch.setattr(DecodedPixelsMixin, "generation", 1)
    plugins.configured_versions.cache_clear()
    first, second = make_picture(1), make_picture(1)
    index_now()
    assert set(Signature.objects.values_list("version", flat=True)) == {"1"}
    monkeypatch.setattr(DecodedPixelsMixin, "generation", 2)
    plugins.configured_versions.cache_clear()
    versions._load_version.cache_clear()
    row = MethodVersion.objects.get(source__model="picture", name="mean")
    former = versions.instantiate(row)
    assert former is not None
    assert (former.version, isinstance(former, Mean)) == ("1", True)
    assert [match.object for match in similar_images.similar_to(first)] == [second]
    upload = drawing.upload(1)
    assert len(similar_images.similar_to(upload, model=Picture)) == 2
    third = make_picture(1)
    index_now()
    assert set(Signature.objects.filter(record__object_id=third.pk).values_list("version", flat=True)) == {"1", "1-px2"}
    assert [match.object for match in similar_images.similar_to(third)] == [first, second]
