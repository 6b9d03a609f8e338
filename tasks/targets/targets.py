"""What is right for a sample, by kind of answer (see `harness.answers`): labels, boxes, label maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.answers import IGNORED

if TYPE_CHECKING:
    from harness.affine import Affine


if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.affine import Affine
    from tasks.formats.coco_instances import ImageObjects
    from tasks.formats.coco_panoptic import PanopticEntry

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class LabelTarget:
    """The class of an image, by index; with `labels` (0 or 1 for each class) any number of them.

    `slices` name the parts of the split that the sample is also scored in; `image_id` says which samples
    share an image, so that intervals draw them together. `lured` are the classes that something beside the object goes
    with in a biased training set (of Scenes: the badge), where that is known.
    """

    label: int
    labels: tuple[int, ...] = ()
    slices: tuple[str, ...] = ()
    image_id: str = ""
    lured: tuple[int, ...] = ()


@dataclass(frozen=True)
class BoxTarget:
    """The objects of an image: boxes in fractions of its sides (x, y of the left upper corner, width, height).

    `objects` are the same as they are annotated (boxes in px, areas, masks): what scores are computed against.
    `image_id` is a whole number, by which images are sorted; `name` is what the data calls the image where that is
    no number (VOC).
    """

    image_id: str
    width_px: int
    height_px: int
    boxes: tuple[Box, ...]
    labels: tuple[int, ...]
    crowd: tuple[bool, ...]
    objects: ImageObjects | None = field(default=None, compare=False, repr=False)
    name: str = ""

    @property
    def called(self) -> str:
        """What messages call the image."""
        return self.name or self.image_id


@dataclass(frozen=True)
class MapTarget:
    """The class of each pixel of an image; read from disk when it is asked for.

    `panoptic` says where the image's segments are, for data that has them; `movements` how the image was moved,
    one after the other.
    """

    image_id: str
    width_px: int
    height_px: int
    read: Callable[[], npt.NDArray[np.uint16]]
    panoptic: PanopticEntry | None = field(default=None, repr=False)
    affines: tuple[Affine, ...] = ()

    def label_map(self) -> npt.NDArray[np.uint16]:
        """Class indices `[H, W]`, `harness.answers.IGNORED` where nothing is asked."""
        labels = self.read()
        for affine in self.affines:
            from harness.perturb.image.geometry import warp_labels

            labels = warp_labels(labels, affine, IGNORED)
        return labels


@dataclass(frozen=True)
class CaptionTarget:
    """The reference captions of an image; for Scenes also the facts that its annotation states."""

    references: tuple[str, ...]
    facts: Mapping[str, Any] | None = None
