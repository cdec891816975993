"""Signature methods, each of which describes an image by one vector; they know no Django model and no setting."""

from __future__ import annotations

BUILT_IN_METHODS = {
    "embedding": f"{__name__}.embedding.Embedding",
    "color": f"{__name__}.color.Color",
    "color-emd": f"{__name__}.color.ColorEmd",
    "palette": f"{__name__}.palette.Palette",
    "tiny": f"{__name__}.layout.Tiny",
    "blocks": f"{__name__}.layout.Blocks",
    "wavelet": f"{__name__}.layout.Wavelet",
    "phash": f"{__name__}.hashes.PHash",
    "dhash": f"{__name__}.hashes.DHash",
    "ahash": f"{__name__}.hashes.AHash",
    "blockmean": f"{__name__}.hashes.BlockMean",
    "kaze": f"{__name__}.kaze.KazeMethod",
}
"""Dotted path of each built-in method, by the name that its signatures are stored under."""
