"""Pixels to the input of an image encoder, and its output to a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .options import EncoderOptions
from .presets import DEFAULT_PRESET, PRESETS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def preprocess(
    pixels: NDArray[np.uint8], options: EncoderOptions = PRESETS[DEFAULT_PRESET], *, normalize: bool = True
) -> NDArray[Any]:
    """Turn an RGB image of any size into the encoder's input.

    The longer side is cropped by the share of its excess that is not to be squashed, then both sides to the share
    `crop`, evenly at both ends; the rest is squashed to a square. Measured with the default preset, this finds similar
    objects better than squashing the whole image, and copies nearly as well.

    Args:
        pixels: uint8 (height, width, 3), RGB.
        options: of the encoder.
        normalize: subtract the mean, and divide by the standard deviation.

    Returns:
        (3, size, size), or (size, size, 3) for NHWC: float32, or uint8 if not normalized.
    """
    import cv2
    import numpy as np

    shorter, longer = min(pixels.shape[:2]), max(pixels.shape[:2])
    height, width = (
        max(1, round(options.crop * min(side, shorter + options.squash * (longer - shorter))))
        for side in pixels.shape[:2]
    )
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    center = pixels[top : top + height, left : left + width]
    interpolation = cv2.INTER_AREA if min(height, width) >= options.size else cv2.INTER_CUBIC
    square = cv2.resize(center, (options.size, options.size), interpolation=interpolation)
    values: NDArray[Any] = square
    if normalize:
        mean, std = ((255 * np.array(color, np.float64)).astype(np.float32) for color in (options.mean, options.std))
        values = (square.astype(np.float32) - mean) / std
    if options.channels == "BGR":
        values = values[..., ::-1]
    return np.ascontiguousarray(values.transpose(2, 0, 1) if options.layout == "NCHW" else values)


def pool_output(output: NDArray[Any], options: EncoderOptions) -> NDArray[Any]:
    """Reduce the output for a batch of one image to a vector, (dimensions,), as `pooling` says."""
    import numpy as np

    if output.ndim < 3 or options.pooling == "none":
        return output.reshape(-1)
    axis = channel_axis(options, output.ndim)
    vectors = np.moveaxis(output, axis, -1).reshape(-1, output.shape[axis]).astype(np.float32)
    pooled: NDArray[Any]
    if options.pooling == "cls":
        pooled = vectors[0]
    elif options.pooling == "mean":
        pooled = vectors.mean(axis=0)
    else:
        pooled = np.cbrt(np.power(np.clip(vectors, 1e-6, None), 3).mean(axis=0))
    return pooled


def channel_axis(options: EncoderOptions, rank: int) -> int:
    """Return the axis of the channels in an output of `rank` axes: a feature map has 4, a sequence of tokens 3."""
    return 1 if rank == 4 and options.layout == "NCHW" else -1
