"""The kinds of answer that tasks want, and what targets and predictions of each kind look like.

A task says in `Task.answers` which kind it wants, a model in `Model.answers` which kinds it can give: by that the two
are matched (`harness.protocols.serves`), never by name. A kind is the *form* of an answer (the table below), alone or
with what more is asked of a model after a colon: `labels` are classes that were all trained, `labels:unseen` also ones
without any training image; a task of referring expressions, whose one box depends on the text beside the image, would
want `boxes:expression`, which a detector of classes does not offer. Anybody may name a new kind: models serve it that
name it too. `form_of` gives the form, which stands in `TaskSpec.answers`.

Tasks and models do not import each other: a task's own target classes offer the members below, and predictions are
plain JSON types.

| form     | target offers                             | prediction                                             |
|----------|-------------------------------------------|--------------------------------------------------------|
| captions | `references`                              | str                                                    |
| labels   | `label`, or `labels` where multilabel     | list of C probabilities (of each class, if multilabel), |
|          |                                           | or the int of the class alone (not if multilabel)      |
| boxes    | `boxes`, `labels`, `crowd`                | list of [class, score, x, y, width, height]            |
| choices  | `choice`                                  | list of scores, one for each of the sample's choices   |
| answers  | `accepted`                                | str, or list of scores, one for each choice            |
| maps     | `label_map()`                             | `encode_label_map(...)`                                |

Choices are the candidate texts of a sample (`Sample.choices`, a different set for each); a score is any finite number,
the highest is the answer.

A sample of `answers` asks a question, `Sample.text`, and accepts short answers: `accepted` holds each as often as
people gave it. Where the question offers options they are `Sample.choices`, ("yes", "no") too. What a model said stays
as it was said (str): the task's scorer decides whether it is right, wrong or no answer at all. A model that knows how
likely each option is (log-likelihoods, any finite scores) gives these instead; of equal ones none is the answer.

Boxes are in fractions of the image's width and height (0..1), x and y those of the left upper corner; classes are
indices into `Classes.names`, scores are 0..1. A label map covers the whole image at any resolution; its values are
class indices, `IGNORED` where nothing is asked.

A label answer that is an int says which class and nothing more (`NO_CLASS` where it is none of them): metrics that need
probabilities are then absent. Of probabilities the answer is the class whose probability is above all others; where
several share the highest there is none. To take the first of them would let the order of the classes decide, which
gives a model that tells nothing apart a score of 1 on a split of the first class.
`labels` of a target are 1 for a class that is there, 0 for one that is not, `UNKNOWN` where nobody knows.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import DataError
from harness.sample import Sample, TaskSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CAPTIONS, LABELS, BOXES, MAPS, CHOICES = "captions", "labels", "boxes", "maps", "choices"
SHORT_ANSWERS = "answers"
"""Short answers to a question beside each image: yes or no, one of several options, a number, a word or two."""
UNSEEN_LABELS = "labels:unseen"
"""Labels some of whose classes have no training image: a model must know them by what they are called."""
ATTRIBUTES = "attributes"
"""Probabilities of attributes: what a vision backbone is pretrained with, never a task that is scored."""
NO_CLASS = -1
"""The class of an answer that names none, or several at once."""
UNKNOWN = -1
"""In `labels`: whether this class is there is not known (VOC's difficult objects); answers to it are not scored."""
IGNORED = 65535
"""The label of pixels that no model is asked about, in targets' label maps (uint16)."""


def form_of(kind: str) -> str:
    """Give the form of a kind of answer: what a target and a prediction look like.

    >>> form_of("labels:unseen"), form_of("boxes")
    ('labels', 'boxes')
    """
    return kind.partition(":")[0]


class CaptionAnswer(Protocol):
    """A target of captioning."""

    references: Sequence[str]


class LabelAnswer(Protocol):
    """A target of classification: the index of its class, or 0, 1 and UNKNOWN for each class."""

    label: int
    labels: Sequence[int]


class ChoiceAnswer(Protocol):
    """A target of a choice among texts: the index of the right one in `Sample.choices`."""

    choice: int


class ShortAnswer(Protocol):
    """A target of a question: the answers that count, each as often as it was given."""

    accepted: Sequence[str]


class BoxAnswer(Protocol):
    """A target of detection: boxes in fractions of the image, their classes, and which are crowds to be ignored."""

    boxes: Sequence[tuple[float, float, float, float]]
    labels: Sequence[int]
    crowd: Sequence[bool]


class MapAnswer(Protocol):
    """A target of segmentation."""

    def label_map(self) -> npt.NDArray[np.uint16]:
        """Read the class of each pixel `[H, W]`; IGNORED where nothing is asked."""
        ...


def is_label(answer: object) -> bool:
    """Tell whether a label answer is the index of a class alone, without probabilities."""
    return isinstance(answer, int) and not isinstance(answer, bool)


def answered_class(answer: int | Sequence[float]) -> int:
    """Return the class that a label answer names, NO_CLASS where it is none or several share the highest probability.

    Raises DataError for what is neither an index nor probabilities.
    """
    if isinstance(answer, int) and not isinstance(answer, bool):
        return answer
    if not isinstance(answer, Sequence) or isinstance(answer, str) or not len(answer):
        raise DataError(
            f"A label answer is {str(answer)[:80]}; wanted the index of a class, or a probability for each."
        )
    highest = max(answer)
    found = [index for index, probability in enumerate(answer) if probability == highest]
    return found[0] if len(found) == 1 else NO_CLASS


def chosen_option(scores: Sequence[float]) -> int | None:
    """Return the place of the highest of an answer's scores; None where several share it, or there are none.

    >>> chosen_option([-0.1, -2.3]), chosen_option([0.0, 0.0])
    (0, None)
    """
    best = [place for place, score in enumerate(scores) if score == max(scores)]
    return best[0] if len(best) == 1 else None


def encode_label_map(labels: npt.NDArray[np.uint16]) -> dict[str, Any]:
    """Pack class indices `[H, W]` (0..65535) into JSON: a 16-bit PNG in base64.

    Raises DataError for values that are no such index, as logits, NaN or -1: cast, they would be some class.
    """
    import numpy as np
    from PIL import Image

    values: npt.NDArray[Any] = np.asarray(labels)
    whole = (values >= 0) & (values <= IGNORED) & (values == np.floor(values))
    if not whole.all():
        wrong = values[~whole]
        raise DataError(
            f"A label map holds {wrong.flat[0]} ({wrong.size:,} such values of {values.size:,}); wanted the index of a "
            f"class, 0..{IGNORED}, for each pixel: take the argmax of logits."
        )
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(labels, dtype=np.uint16)).save(stream, "PNG")
    return {"label_map_png": base64.b64encode(stream.getvalue()).decode("ascii")}


def decode_label_map(prediction: Mapping[str, Any]) -> npt.NDArray[np.uint16]:
    """Unpack what `encode_label_map` made, uint16 `[H, W]`; raises DataError for anything else."""
    import numpy as np
    from PIL import Image

    try:
        content = base64.b64decode(prediction["label_map_png"], validate=True)
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image, dtype=np.uint16)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DataError(
            f"A prediction is not a label map ({type(error).__name__}: {error}); "
            "wanted what harness.answers.encode_label_map makes."
        ) from None


def resize_label_map(labels: npt.NDArray[np.uint16], width_px: int, height_px: int) -> npt.NDArray[np.uint16]:
    """Bring a label map to a size in pixels by the nearest label: the one at each pixel's centre."""
    import numpy as np

    rows = ((np.arange(height_px) + 0.5) * labels.shape[0] / height_px).astype(np.int64)
    columns = ((np.arange(width_px) + 0.5) * labels.shape[1] / width_px).astype(np.int64)
    resized: npt.NDArray[np.uint16] = labels[rows[:, None], columns[None, :]]
    return resized


LEAST_SCORE = 0.3
"""Answers with less are not drawn."""
_SHARES = 3


def describe_answer(answer: Any, spec: TaskSpec, choices: Sequence[str] = ()) -> str:
    """Put an answer into a few words; `choices` are the candidate texts of its sample, where it has some."""
    names = spec.classes.names
    if spec.answers == CAPTIONS or isinstance(answer, str):
        return str(answer)
    if spec.answers == LABELS:
        return _describe_label(answer, names)
    if spec.answers == BOXES:
        sure = [box for box in answer if box[1] >= LEAST_SCORE][:_SHARES]
        return ", ".join(f"{names[int(box[0])]} ({box[1]:.2f})" for box in sure) or f"no box over {LEAST_SCORE}"
    if spec.answers in (CHOICES, SHORT_ANSWERS):
        best = max(range(len(answer)), key=answer.__getitem__)
        return f"{choices[best] if best < len(choices) else f'choice {best}'} ({answer[best]:.2f})"
    counts = Counter(decode_label_map(answer).ravel().tolist())
    total = sum(counts.values())
    return ", ".join(f"{names[index]} {count / total:.0%}" for index, count in counts.most_common(_SHARES))


def _describe_label(answer: int | Sequence[float], names: Sequence[str]) -> str:
    """Name the most probable classes, more than one where they share the highest probability."""
    if isinstance(answer, int):
        return "none of the classes" if answer == NO_CLASS else names[answer]
    best = [index for index, probability in enumerate(answer) if probability == max(answer)]
    more = f" and {len(best) - _SHARES} more" if len(best) > _SHARES else ""
    return f"{' = '.join(names[index] for index in best[:_SHARES])}{more} ({answer[best[0]]:.2f})"


def describe_target(sample: Sample, spec: TaskSpec) -> str:
    """Put what is right into a few words, as far as targets are of the usual forms; empty where they are not."""
    target, names = sample.target, spec.classes.names
    if spec.answers == CAPTIONS:
        return str(next(iter(getattr(target, "references", ())), ""))
    if spec.answers == LABELS:
        several = [names[index] for index, there in enumerate(getattr(target, "labels", ())) if there == 1]
        return ", ".join(several) or names[target.label]
    if spec.answers == BOXES:
        return ", ".join(names[index] for index in getattr(target, "labels", ()))
    if spec.answers == SHORT_ANSWERS:
        return ", ".join(dict.fromkeys(getattr(target, "accepted", ())))
    return sample.choices[target.choice] if spec.answers == CHOICES else ""


_FORMS: Mapping[str, tuple[type, ...]] = {
    CAPTIONS: (str,), LABELS: (list, tuple, int), CHOICES: (list, tuple), BOXES: (list, tuple), MAPS: (Mapping,),
    SHORT_ANSWERS: (str, list, tuple),
}  # fmt: skip


def is_of_kind(kind: str, prediction: object) -> bool:
    """Tell whether a prediction looks as models give this kind of answer, rather than being missing or a file's name.

    >>> is_of_kind(LABELS, [0.5, 0.5]), is_of_kind(LABELS, None), is_of_kind(MAPS, {"label_image": "a.png"})
    (True, False, False)
    """
    if kind == MAPS and isinstance(prediction, Mapping):
        return "label_map_png" in prediction
    return isinstance(prediction, _FORMS.get(kind, ()))
