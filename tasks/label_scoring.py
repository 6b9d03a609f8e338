"""Scores label probabilities: over the whole split, in each slice, and of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from harness.errors import DataError
from harness.metrics.label_passport import check_label_metrics
from harness.protocols import Statistics
from harness.sample import Classes, Outcome, Sample
from tasks.outcomes import in_sample_order

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.metrics.resampling import Statistics as ResampledStatistics

_LEAST_IN_A_SLICE = 2


@dataclass(frozen=True)
class LabelScorer:
    """The scorer of both classification tasks; with `zero_shot` seen and unseen classes are told apart."""

    classes: Classes
    zero_shot: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def prepare(self, samples: Sequence[Sample]) -> str:
        """Check the golden vectors; raises DataError for an empty split."""
        if not samples:
            raise DataError("The split has no samples: there is nothing to score. Choose another with --split.")
        return check_label_metrics()

    def score(self, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> Mapping[str, Statistics | None]:
        """Score one answer a sample; raises DataError for answers that are missing, too many or no probabilities."""
        answers = in_sample_order(samples, outcomes, "answer")
        probabilities = self._probabilities(samples, answers)
        if self.classes.multilabel:
            return self._multilabel(samples, probabilities)
        return self._single(samples, probabilities)

    def _single(
        self, samples: Sequence[Sample], probabilities: npt.NDArray[np.float64]
    ) -> dict[str, Statistics | None]:
        import numpy as np

        from harness.metrics.classification import classification_statistics, per_class_statistics
        from harness.metrics.zero_shot import zero_shot_statistics

        labels = np.array([sample.target.label for sample in samples], dtype=np.int64)
        found: dict[str, ResampledStatistics] = {}
        if self.zero_shot:
            found |= zero_shot_statistics(probabilities, labels, np.array(self.classes.seen))
        found |= classification_statistics(probabilities, labels, self.classes.names)
        images = [sample.target.image_id for sample in samples]
        correct = probabilities.argmax(axis=1) == labels  # of equal probabilities the lower class, as in top-1
        parts = {f"top-1[{name}]": rows for name, rows in _rows_of_slices(samples).items()}
        per_class = per_class_statistics(probabilities, labels, self.classes.names)
        parts |= {name.replace("per-class:", "top-1:"): statistics.trial for name, statistics in per_class.items()}
        return {**_together(found, images), **_shares(correct, parts, images)}

    def _multilabel(
        self, samples: Sequence[Sample], probabilities: npt.NDArray[np.float64]
    ) -> dict[str, Statistics | None]:
        import numpy as np

        from harness.metrics.multilabel import multilabel_statistics

        labels = np.array([sample.target.labels for sample in samples], dtype=np.int8)
        return dict(multilabel_statistics(probabilities, labels, self.classes.names))

    def _probabilities(self, samples: Sequence[Sample], answers: Sequence[object]) -> npt.NDArray[np.float64]:
        import numpy as np

        count = len(self.classes)
        for sample, answer in zip(samples, answers, strict=True):
            if not isinstance(answer, list | tuple) or len(answer) != count:
                raise DataError(
                    f"Sample {sample.sample_id} has the answer {str(answer)[:80]}; wanted {count} probabilities, "
                    "one for each class."
                )
        try:
            return np.array(answers, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"The answers are not numbers ({error}); wanted {count} probabilities a sample.") from None


def _rows_of_slices(samples: Sequence[Sample]) -> dict[str, npt.NDArray[np.bool_]]:
    """[N] which samples each slice has; a slice of a single sample says nothing and is left out."""
    import numpy as np

    names = sorted({name for sample in samples for name in sample.target.slices})
    rows = {name: np.array([name in sample.target.slices for sample in samples]) for name in names}
    return {name: chosen for name, chosen in rows.items() if chosen.sum() >= _LEAST_IN_A_SLICE}


def _shares(
    correct: npt.NDArray[np.bool_], parts: Mapping[str, npt.NDArray[np.bool_]], images: Sequence[str]
) -> dict[str, Statistics | None]:
    """The share of correct answers in each part."""
    from harness.metrics.proportions import proportion

    found: dict[str, Statistics | None] = {}
    for name, rows in parts.items():
        own = [image for image, chosen in zip(images, rows, strict=True) if chosen]
        found |= _together({name: proportion(correct[rows])}, own)
    return found


def _together(found: Mapping[str, ResampledStatistics], images: Sequence[str]) -> dict[str, Statistics | None]:
    """Let intervals draw samples of one image together, where images have several."""
    from harness.metrics.grouped import GroupedStatistics

    if len(set(images)) == len(images):
        return dict(found)
    return {name: GroupedStatistics(statistics, images) for name, statistics in found.items()}
