"""What two pictures are to each other, in words a person understands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from django.utils.translation import gettext as _

from .base import View

Kind = Literal["same-file", "same-picture", "same-object", "alike", "unrelated"]


@dataclass(frozen=True)
class Transform:
    """How the second picture came from the first, as far as geometry tells.

    `angle` is in degrees counterclockwise, `scale` in pixels of the second file for a pixel of the first, `part` the
    left, top, width and height of what the second shows of the first, in fractions of its sides, `whole` the same of
    what the first shows of the second.
    """

    is_mirrored: bool
    angle: float
    scale: float
    part: tuple[float, float, float, float]
    whole: tuple[float, float, float, float]


@dataclass(frozen=True)
class Verdict:
    """What the pictures are to each other; where they are the same picture, what was done to it.

    `changes` are codes: re-encoded, resized, cropped, turned, mirrored, recolored.
    """

    kind: Kind
    changes: tuple[str, ...] = ()
    transform: Transform | None = None

    @property
    def title(self) -> str:
        return {
            "same-file": _("The same file"),
            "same-picture": _("The same picture"),
            "same-object": _("The same object"),
            "alike": _("Alike"),
            "unrelated": _("Unrelated"),
        }[self.kind]

    @property
    def text(self) -> str:
        """The verdict in a sentence, with the changes and their amounts."""
        return self.title


def judge(a: View, b: View, *, is_same_file: bool = False) -> Verdict:
    """Say what two pictures are to each other."""
    return Verdict("same-file" if is_same_file else "unrelated")
