"""What is right for a question about an image, and what is known of the question."""

from __future__ import annotations

from dataclasses import dataclass

YES_NO, CHOICE, NUMBER, SHORT = "yes/no", "choice", "number", "short"
KINDS = (YES_NO, CHOICE, NUMBER, SHORT)
YES, NO = "yes", "no"


@dataclass(frozen=True)
class QuestionTarget:
    """The answers that count, each as often as it was given; `kind` is one of `KINDS`.

    `options` are those of `Sample.choices`, in their order. `form` says which questions are alike but for what they are
    about: the commonest training answer of a form is its prior. Samples of one `cluster` (an image, or the images of a
    group) are drawn together by intervals. `group` names the two images and two questions of which this is one of four;
    `question` is its question there. `slices` are parts of the split that it is also scored in. `chance` is how often
    a guess among its possible answers is right; 0 where nobody knows these. `prior` is the commonest answer of its form
    in training where the data knows it; None where it does not, or where several are as common.
    """

    accepted: tuple[str, ...]
    kind: str
    form: str
    image_id: str
    cluster: str
    options: tuple[str, ...] = ()
    group: str = ""
    question: str = ""
    slices: tuple[str, ...] = ()
    chance: float = 0.0
    prior: str | None = None
