"""Copies of pictures as people edit them: cropped, mirrored, brightened, framed, with text on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Copy:
    """A picture that is sold a second time, after an edit."""

    original: str
    edit: str
    label: str
    share: float
    """Of the price of the original."""
    reason: str

    @property
    def product(self) -> str:
        return f"{self.original.removesuffix('-front.jpg')}-{self.label.replace(' ', '-')}"

    @property
    def file(self) -> str:
        return f"{self.product}-{self.edit}.jpg"


OUTLET = ("outlet", 0.7, "Last season's batch, at a lower price.")
DISPLAY = ("ex-display", 0.6, "Shown in our store, with light marks at most.")

COPIES = [
    Copy("halden-vase-cobalt-front.jpg", "mirror", *OUTLET),
    Copy("juno-serving-bowl-slate-front.jpg", "crop", *DISPLAY),
    Copy("camp-mug-red-front.jpg", "text", *OUTLET),
    Copy("nora-table-lamp-pine-front.jpg", "brightness", *DISPLAY),
    Copy("marit-basket-natural-front.jpg", "border", *OUTLET),
    Copy("vero-bottle-amber-front.jpg", "mirror", *OUTLET),
    Copy("alder-chair-oak-front.jpg", "crop", *DISPLAY),
    Copy("holm-sofa-sage-front.jpg", "text", *DISPLAY),
    Copy("atlas-rug-rust-front.jpg", "brightness", *OUTLET),
    Copy("station-clock-black-front.jpg", "border", *OUTLET),
]


def apply(copy: Copy, pixels: Any) -> Pixels:
    """Return the edited picture; pixels are as OpenCV reads them."""
    height, width = pixels.shape[:2]
    if copy.edit == "mirror":
        return np.ascontiguousarray(pixels[:, ::-1])
    if copy.edit == "crop":
        return np.ascontiguousarray(pixels[height // 12 : height * 11 // 12, width // 8 : width * 15 // 16])
    if copy.edit == "brightness":
        return np.asarray(np.clip(pixels * 1.12 + 10, 0, 255), np.uint8)
    if copy.edit == "border":
        return np.asarray(cv2.copyMakeBorder(pixels, 22, 22, 22, 22, cv2.BORDER_CONSTANT, value=(70, 45, 30)), np.uint8)
    result = pixels.copy()
    cv2.rectangle(result, (0, height - 62), (width, height - 18), (48, 40, 200), -1)
    cv2.putText(
        result,
        f"SALE  -{round((1 - copy.share) * 100)}%",
        (22, height - 30),
        cv2.FONT_HERSHEY_DUPLEX,
        1.0,
        (255, 255, 255),
        2,
        cv2.LINE_AA,
    )
    return np.asarray(result, np.uint8)
