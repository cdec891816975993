from __future__ import annotations

from similar_images.signatures.embedding.labels import imagenet_labels


def test_imagenet_labels__are_a_thousand_in_the_order_of_the_logits() -> None:
    labels = imagenet_labels()
    assert len(labels) == 1000
    assert (labels[0], labels[285], labels[967], labels[999]) == ("tench", "Egyptian cat", "espresso", "toilet tissue")
