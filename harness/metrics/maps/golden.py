"""Golden inputs of segmentation metrics: a fixed case with known scores, checked before scoring, and the signature.

The known scores of label maps were computed by scikit-learn 1.9 (Jaccard score, accuracy, recall), those of segments by
hotcoco 1.3's own panoptic evaluation; tests/harness/metrics/test_segmentation_passport.py computes them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.metrics.metric import Golden, check_golden

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.metrics.maps.panoptic import SegmentMap
    from harness.protocols import Statistics

MAP_VERSION = 1
"""Of the implementation: raise it whenever a score may change."""
_TOLERANCE = 1e-12

GOLDEN_CLASSES = ("sky", "ground", "cat", "dog")
GOLDEN_UNSEEN = (3,)
GOLDEN_IGNORED = 9
GOLDEN_TRUE_MAPS = (
    ("00000000", "00022000", "11122111", "11122199", "11111199", "11111111"),
    ("00003300", "02203300", "02211111", "19911111", "11111111"),
)
GOLDEN_PREDICTED_MAPS = (
    ("00000000", "00022200", "00122211", "11122111", "11111331", "11111111"),
    ("00003000", "02003300", "02213111", "11111111", "11112211"),
)
"""A digit is the class of a pixel, 9 one that is not scored."""

GOLDEN_TRUE_SEGMENTS = (
    ("11111111", "11133111", "22233244", "22233244", "22222200", "22222255"),
    ("11111111", "13311441", "23322442", "22222222", "22255522"),
)
GOLDEN_PREDICTED_SEGMENTS = (
    ("11111111", "11133331", "22233244", "22223244", "22662244", "22662255"),
    ("11111111", "13331451", "23332442", "22222222", "22266622"),
)
"""A digit is the segment of a pixel, 0 none."""
GOLDEN_CATEGORIES = (
    {1: 0, 2: 1, 3: 2, 4: 2, 5: 3, 6: 3},
    {1: 0, 2: 1, 3: 2, 4: 3, 5: 2, 6: 3},
)
"""The class of each segment, in the truth and in the prediction alike."""
GOLDEN_CROWDS = ((5,), ())
"""Which true segments are crowds."""
MAP_SCORES: Mapping[str, float] = {
    "mIoU": 0.701913163019819,
    "pixel-accuracy": 0.8780487804878049,
    "mean-accuracy": 0.8618023255813954,
    "mIoU-seen": 0.769217550693092,
    "mIoU-unseen": 0.5,
    "hIoU": 0.6060565032945212,
    "PQ": 0.6715905112044818,
    "SQ": 0.8130835667600373,
    "RQ": 0.8125,
    "PQ-Th": 0.4739583333333333,
    "PQ-St": 0.8692226890756303,
}


MAP_CASE = Golden(None, MAP_SCORES, _TOLERANCE)


def map_scores(inputs: None = None) -> dict[str, Statistics | None]:
    """Score the label maps and the segments."""
    return golden_map_scores() | golden_segment_scores()


def check_segmentation_metrics(*, panoptic: bool) -> str:
    """Score the golden case and return the signature; raises MetricDrift at the first score that differs."""
    check_golden(map_scores(), Golden(None, MAP_SCORES, _TOLERANCE))
    return f"segmentation:v{MAP_VERSION}|miou:present-classes" + ("|pq:panopticapi" if panoptic else "")


def golden_map_scores() -> dict[str, Statistics | None]:
    """Score the label maps."""
    from harness.metrics.maps.segmentation import SegmentationCounts, count_pixels, segmentation_statistics

    pairs = zip(GOLDEN_TRUE_MAPS, GOLDEN_PREDICTED_MAPS, strict=True)
    counts = SegmentationCounts.stack(
        count_pixels(digits(true), digits(predicted), len(GOLDEN_CLASSES), GOLDEN_IGNORED) for true, predicted in pairs
    )
    return segmentation_statistics(counts, GOLDEN_CLASSES, GOLDEN_UNSEEN)


def golden_segment_scores() -> dict[str, Statistics | None]:
    """Score the segments; sky and ground are stuff, cats and dogs are things."""
    from harness.metrics.maps.panoptic import PanopticCategories, PanopticCounts, match_segments, panoptic_statistics

    categories = PanopticCategories(
        [{"id": number, "name": name, "isthing": int(number > 1)} for number, name in enumerate(GOLDEN_CLASSES)]
    )
    images = (
        match_segments(golden_segments(image, true=True), golden_segments(image, true=False), categories, "golden")
        for image in range(len(GOLDEN_TRUE_SEGMENTS))
    )
    return panoptic_statistics(PanopticCounts.stack(categories, images))


def golden_segments(image: int, *, true: bool) -> SegmentMap:
    """The true or the predicted segments of an image."""
    from harness.metrics.maps.panoptic import SegmentMap

    ids = digits((GOLDEN_TRUE_SEGMENTS if true else GOLDEN_PREDICTED_SEGMENTS)[image])
    crowds = GOLDEN_CROWDS[image] if true else ()
    infos = [
        {"id": number, "category_id": GOLDEN_CATEGORIES[image][number], "iscrowd": int(number in crowds)}
        for number in sorted({*ids.ravel().tolist()} - {0})
    ]
    return SegmentMap(ids, infos)


def digits(rows: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """[H, W] the digits of text."""
    import numpy as np

    return np.array([[int(digit) for digit in row] for row in rows], dtype=np.int64)
