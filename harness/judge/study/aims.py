"""What a study is to decide: each claim about each fused model, with the runs that it reads or why none could."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import UsageError, nearest
from harness.judge.robustness.cells import SEVERITIES
from harness.judge.verdict.claim_needs import needs_of
from harness.judge.verdict.evidence import FusionControls
from harness.judge.verdict.needs import Breadth, ClaimSubject, NeededRun
from harness.plan.names import words
from harness.plan.parts import part_names
from harness.plan.study_options import StudyOptions
from harness.record import split_name


@dataclass(frozen=True)
class Aim:
    """A claim about a fused model and the runs that it reads; none, and a reason, where nothing can decide it."""

    claim: str
    model: str
    runs: tuple[NeededRun, ...] = ()
    reason: str = ""


def aims_of(claims: Iterable[str], subjects: Sequence[ClaimSubject]) -> list[Aim]:
    """Ask each claim about each model what it needs, in the order of the claims."""
    found = []
    for claim in claims:
        for subject in subjects:
            needs = needs_of(claim, subject)
            without = isinstance(needs, str)
            found.append(Aim(claim, subject.model, () if without else needs, needs if without else ""))  # type: ignore[arg-type]
    return found


def breadth_of(options: StudyOptions) -> Breadth:
    """Read the section [study]; raises UsageError for what is no number, no severity or no tuning policy."""
    policies = tuple(words(options.policies))
    for name in policies:
        if name not in part_names("tuning"):
            raise UsageError(f"study.policies: unknown tuning policy '{name}'. {nearest(name, part_names('tuning'))}")
    sizes = _numbers("sizes", options.sizes)
    severities = _numbers("severities", options.severities)
    if wrong := [number for number in severities if number not in SEVERITIES]:
        raise UsageError(f"study.severities: {wrong[0]}; wanted numbers of 1 to {max(SEVERITIES)}, as 1,3,5.")
    return Breadth(sizes, severities, policies, ",".join(words(options.sequence)), _numbers("shots", options.shots))


def fused_models(task: str, wished: Sequence[str], options: StudyOptions, fusion: FusionControls) -> list[str]:
    """Name the models of a study: those wished for, else the profile's, else all that offer a control.

    Raises UsageError for a task without a fused model, and for a model that is not fused there.
    """
    known = sorted(fusion.controls)
    if not known:
        raise UsageError(f"{task} has no fused model here, so that no claim about fusion can be decided. Install one.")
    wished = [name for name in wished if name != "all"]
    for name in wished:
        model, control = split_name(name)
        if control is not None:
            raise UsageError(f"--model {name}: bench study runs the controls that claims need by itself. Name {model}.")
        if model in fusion.unfused:
            raise UsageError(f"--model {name}: it is not fused, and claims are about fused ones: {', '.join(known)}.")
        if model not in known:
            raise UsageError(f"--model {name}: no fused model of {task} has that name. {nearest(name, known)}")
    of_profile = [name for name in words(options.models) if name in known]
    return list(wished) or of_profile or [name for name in known if fusion.controls[name]] or known


def _numbers(name: str, text: str) -> tuple[int, ...]:
    found = words(text)
    if not found or not all(word.isdecimal() and int(word) > 0 for word in found):
        raise UsageError(f"study.{name} = '{text}'; wanted whole numbers above 0 with commas between, as 125,250,500.")
    return tuple(sorted({int(word) for word in found}))
