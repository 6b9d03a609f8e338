"""What a head says of itself (entry points `bench.heads`), and what it is built from. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from baselines.settings import Settings
from harness.answers import form_of
from harness.errors import UsageError, nearest
from harness.plan.parts import load_parts

if TYPE_CHECKING:
    from torch import Tensor

    from baselines.heads.class_scorers import ClassScorer
    from harness.sample import Classes, Target

GROUP = "heads"


@dataclass(frozen=True)
class Head:
    """A way to answer from features: every discriminative model, fused or not, serves the kinds that some head answers.

    `answers` are kinds of answer (`harness.answers`); `build` names a function (`package.module:function`) from a
    `HeadShape` to an `nn.Module` that fits `HeadModule`. `grid` is how many cells a side the backbone's map has for it.
    `dense`: it answers about places, so it sees the whole image and takes only what keeps places. `bare`: it can stand
    on the backbone's own features (the probe). `pairs`: it can take a scorer that reads each class at each place.
    `adds`: what two models make can be added (`combine`, control C6). Of several heads for one kind, `model.head=NAME`
    chooses.
    """

    name: str
    summary: str
    answers: tuple[str, ...]
    build: str
    grid: int = 7
    dense: bool = False
    bare: bool = True
    pairs: bool = True
    adds: bool = True
    settings: Mapping[str, int | float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class HeadShape:
    """What a head is built from: features of `width` on a `grid` (rows, columns), and what scores the classes.

    `bare` says that features are the backbone's own, `pairs` that the model reads each class by itself (its controls
    have the same head). `settings` are the head's own.
    """

    scorer: ClassScorer
    width: int
    grid: tuple[int, int]
    classes: Classes
    bare: bool
    pairs: bool
    settings: Mapping[str, Any]


class HeadModule(Protocol):
    """An `nn.Module` from features `[B, N, width]` to whatever its own methods take.

    One whose loss is a mean over samples also says `loss_is_mean_over_samples = True`; one that is a mean over what
    samples have more or less of may have `loss_parts(raw, targets)` (see `HasMeanLoss`, `HasLossParts` in
    `harness.protocols`).
    """

    def __call__(self, features: Tensor) -> Any:
        """Return what the other methods take as `raw`."""
        ...

    def loss(self, raw: Any, targets: Sequence[Target]) -> Tensor:
        """Return the scalar training loss."""
        ...

    def losses(self, raw: Any, targets: Sequence[Target]) -> Tensor:
        """Return the loss of each sample `[B]`, over all classes."""
        ...

    def answer(self, raw: Any) -> list[Any]:
        """Return an answer of the head's kind for each sample."""
        ...

    def combine(self, one: Any, other: Any) -> Any:
        """Add what two models made (control C6); only of heads that say `adds`."""
        ...


@runtime_checkable
class AnswersAmong(Protocol):
    """A head whose answers depend on the options of a question, where it has some."""

    def answer_among(self, raw: Any, choices: Sequence[Sequence[str]]) -> list[Any]:
        """Return an answer of the head's kind for each sample; `choices` are empty for one without options."""
        ...


def installed_heads() -> list[Head]:
    """Every installed head, in the order of their names; broken ones are left out (`bench list heads` tells)."""
    return [head for head in load_parts(GROUP)[0] if isinstance(head, Head)]


def heads_for(kind: str) -> list[Head]:
    """The installed heads that answer with a kind."""
    return [head for head in installed_heads() if kind in head.answers]


def choose_head(kind: str, settings: Settings, *, bare: bool = False) -> Head:
    """Take the head that `model.head` (or for boxes `model.box_head`) names, else the one called as the answer's form.

    `bare` leaves out those that cannot stand on the backbone's own features. A head of another kind may be named, since
    all models of a run have the same settings. Raises UsageError where none answers with this kind, or several do.
    """
    offered = {head.name: head for head in heads_for(kind) if head.bare or not bare}
    wishes = (settings.head, settings.box_head, form_of(kind), *(offered if len(offered) == 1 else ()))
    chosen = next((offered[wish] for wish in wishes if wish in offered), None)
    if chosen is None:
        named = f"are several: name one with --set model.head={'|'.join(offered)}" if offered else "is none"
        raise UsageError(f"Of heads that answer with {kind} there {named}. See 'bench list heads'.")
    return chosen


def check_head_names(settings: Settings) -> None:
    """Raise UsageError for a head that is not installed."""
    known = [head.name for head in installed_heads()]
    for setting in ("head", "box_head"):
        wish = getattr(settings, setting)
        if wish and wish not in known:
            raise UsageError(f"model.{setting}={wish}: there is no such head. {nearest(wish, known)}")
