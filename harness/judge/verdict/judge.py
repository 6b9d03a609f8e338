"""Records -> verdicts: every claim about every fused model, table by table; and the marks of the leaderboard."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import cache
from typing import cast

from harness.collector import collection_paused
from harness.errors import UsageError, nearest
from harness.judge.leaderboard import Row
from harness.judge.verdict import (
    accuracy,
    bias,
    compression,
    cost,
    explanations,
    forgetting,
    fragility,
    labels,
    tuning,
    zero_shot,
)
from harness.judge.verdict.evidence import Evidence, FusionControls, Group, Options, ReadScores, gather
from harness.judge.verdict.trial_notes import trial_notes
from harness.judge.verdict.verdict import (
    CLAIMS,
    COMPRESSION_CLAIM,
    COST_CLAIM,
    EFFICIENT_TUNING_CLAIM,
    EXPLANATIONS_CLAIM,
    FORGETTING_CLAIM,
    FRAGILITY_CLAIM,
    FUSION_GAIN_CLAIM,
    GROUP_BIAS_CLAIM,
    LABEL_EFFICIENCY_CLAIM,
    ZERO_SHOT_CLAIM,
    Judged,
    Verdict,
)
from harness.plan.plugins import load_task, models_for, task_names
from harness.protocols import controls_on
from harness.record import ExplanationRecord, RobustnessRecord, RunRecord
from harness.records.explanations import read_explained
from harness.records.sample_scores import read_scores, uncovered
from harness.records.store import Store
from harness.stats.sample_scores import SampleScores

_EACH: Mapping[str, Callable[[Evidence, Group], Verdict]] = {
    FUSION_GAIN_CLAIM: accuracy.judge,
    COST_CLAIM: cost.judge,
    COMPRESSION_CLAIM: compression.judge,
}
_TABLE: Mapping[str, Callable[[Evidence, list[Group]], list[Verdict]]] = {
    ZERO_SHOT_CLAIM: zero_shot.judge_all,
    LABEL_EFFICIENCY_CLAIM: labels.judge_all,
    FRAGILITY_CLAIM: fragility.judge_all,
    FORGETTING_CLAIM: forgetting.judge_all,
    GROUP_BIAS_CLAIM: bias.judge_all,
    EXPLANATIONS_CLAIM: explanations.judge_all,
}


@collection_paused()
def judge_stores(
    task: str,
    stores: Sequence[Store],
    models: Sequence[str] = (),
    claims: Sequence[str] = (),
    options: Options | None = None,
    fusion: FusionControls | None = None,
) -> list[Judged]:
    """Judge what results folders hold of a task; of a record in two folders the first counts.

    No `models` or `claims` means all, no `fusion` that of the installed models. Raises UsageError for a claim that
    there is not, a model without a record and a margin that is not above 0.
    """
    wanted = check_claims(claims)
    if options is not None and not 0 < options.margin < float("inf"):
        raise UsageError(f"--margin {options.margin}: wanted the smallest difference of interest, above 0.")
    metrics = load_task(task).metrics
    runs = {store: store.read_records(task) for store in stores}
    perturbed = {store: store.read_robustness(task) for store in stores}
    records = {r.fingerprint: r for store in reversed(stores) for r in runs[store]}
    sweeps = {r.fingerprint: r for store in reversed(stores) for r in perturbed[store]}
    known = {s: cast("list[RunRecord | RobustnessRecord]", [*runs[s], *perturbed[s]]) for s in stores}
    ordered = sorted(records.values(), key=lambda r: (r.created, r.fingerprint))
    fusion = fusion or installed_fusion(task)
    _check_models(models, _known_fused(ordered, fusion))
    explained = {r.fingerprint: (store, r) for store in reversed(stores) for r in store.read_explanations(task)}

    def read_maps(record: ExplanationRecord, table: str) -> SampleScores | None:
        return read_explained(explained[record.fingerprint][0], record, table)

    read, maps = score_reader(stores, known=known), [record for _, record in explained.values()]
    tables = gather(ordered, list(sweeps.values()), metrics, fusion, read, options, maps, read_maps)
    judged = [Judged(each.scope, tuple(judge(each, models, wanted)), tuple(_notes(each))) for each in tables]
    return [found for found in judged if found.verdicts]


def _notes(evidence: Evidence) -> list[str]:
    """Say which settings are judged, and what is to be known of their trials."""
    heads = evidence.heads()
    return [*evidence.choices(heads), *trial_notes(evidence, heads)]


def judge_tasks(
    tasks: Sequence[str],
    stores: Sequence[Store],
    models: Sequence[str] = (),
    claims: Sequence[str] = (),
    options: Options | None = None,
) -> list[Judged]:
    """Judge several tasks as `judge_stores` does one; a model must have a record of one of them at least.

    Raises UsageError for a claim that there is not, also where nothing is stored.
    """
    check_claims(claims)
    if len(tasks) <= 1 or not models:
        return [found for task in tasks for found in judge_stores(task, stores, models, claims, options)]
    known = {
        task: _known_fused([r for store in stores for r in store.read_records(task)], installed_fusion(task))
        for task in tasks
    }
    _check_models(models, set().union(*known.values()))
    wanted = {task: [model for model in models if model in names] for task, names in known.items()}
    return [found for task, own in wanted.items() if own for found in judge_stores(task, stores, own, claims, options)]


def judge(evidence: Evidence, models: Sequence[str] = (), claims: Sequence[str] = ()) -> list[Verdict]:
    """Judge one table of comparable records, claim by claim."""
    heads = [head for head in evidence.heads() if not models or head.model in models]
    if not heads:
        return []
    found = [verdict for claim in (claims or CLAIMS) for verdict in _judge_claim(evidence, heads, claim)]
    return [verdict for verdict in found if not models or _about(verdict, models)]


def marks(
    rows: Sequence[Row],
    records: Sequence[RunRecord],
    metrics: Sequence[str],
    fusion: FusionControls,
    read: ReadScores,
    sweeps: Sequence[RobustnessRecord] = (),
) -> dict[str, str]:
    """Mark the fused models of leaderboard tables by claim fusion-gain: fingerprint -> "✓ supported" and the like.

    Each setting of a model is judged against controls of the same settings. Only the records behind these rows count;
    controls and un-fused models have no mark.
    """
    shown = {fingerprint for row in rows for fingerprint in row.fingerprints}
    found: dict[str, str] = {}
    for evidence in gather([r for r in records if r.fingerprint in shown], sweeps, metrics, fusion, read):
        for head in evidence.fused_groups():
            found |= dict.fromkeys((r.fingerprint for r in head.records), accuracy.judge(evidence, head).mark)
    return found


def installed_fusion(task: str) -> FusionControls:
    """Ask the installed plugins which models are fused and which controls they offer; broken ones are left out.

    Nothing is known of a task that is not installed, whose records may still be shown.
    """
    if task not in task_names():
        return FusionControls({}, ())
    wanted, models = load_task(task), models_for(task)[0]
    controls = {model.name: controls_on(model, wanted) for model in models if model.fused}
    return FusionControls(controls, tuple(model.name for model in models if not model.fused))


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def score_reader(
    stores: Sequence[Store],
    say: Callable[[str], None] = _to_stderr,
    known: Mapping[Store, Iterable[RunRecord | RobustnessRecord]] | None = None,
) -> ReadScores:
    """Read each table of sample scores once, from the first folder that has it, as its record vouches for it.

    `known` are records that were read of a folder already: these are not read again. What no record vouches for, as an
    earlier version stored it, is read, and `say` is told once a folder.
    """
    told: set[Store] = set()
    at_hand = {
        (store, record.task, record.fingerprint, isinstance(record, RobustnessRecord)): record
        for store, records in (known or {}).items()
        for record in records
    }

    @cache
    def vouching(store: Store, task: str, fingerprint: str, sweep: bool) -> RunRecord | RobustnessRecord | None:
        if found := at_hand.get((store, task, fingerprint, sweep)):
            return found
        return store.find_robustness(task, fingerprint) if sweep else store.find_record(task, fingerprint)

    @cache
    def read(task: str, fingerprint: str, condition: str | None) -> SampleScores | None:
        for store in stores:
            record = vouching(store, task, fingerprint, condition is not None)
            found = None if record is None else read_scores(store, record, condition)
            if record is None or found is None:
                continue
            if store not in told and (warning := uncovered(store, [record])):
                told.add(store)
                say(uncovered(store, store.read_records(task)) or warning)
            return found
        return None

    return read


def check_claims(claims: Sequence[str], flag: str = "--claim") -> tuple[str, ...]:
    """Put claims, by name or by letter, into their order; raises UsageError for one that there is not.

    `flag` is how the user gave them.
    """
    by_word = {word: claim.name for claim in CLAIMS.values() for word in (claim.name, claim.letter)}
    for word in claims:
        if word not in by_word:
            known = ", ".join(f"{claim.name} ({claim.letter})" for claim in CLAIMS.values())
            raise UsageError(f"{flag} {word}: wanted claims with commas between, of {known}. {nearest(word, CLAIMS)}")
    wanted = {by_word[word] for word in claims}
    return tuple(name for name in CLAIMS if not claims or name in wanted)


def _judge_claim(evidence: Evidence, heads: list[Group], claim: str) -> list[Verdict]:
    """Claims about single models, then those that have one verdict where nothing of the table decides them."""
    if claim in _EACH:
        return [_EACH[claim](evidence, head) for head in heads]
    if claim in _TABLE:
        return _TABLE[claim](evidence, heads)
    assert claim == EFFICIENT_TUNING_CLAIM
    return tuning.judge_all(evidence)


def _about(verdict: Verdict, models: Sequence[str]) -> bool:
    """A verdict on tuning is called by its policy, too."""
    return verdict.model is None or verdict.model.partition(" (")[0] in models


def _known_fused(records: Sequence[RunRecord], fusion: FusionControls) -> set[str]:
    """Name the fused models of a task that have a record with scores."""
    return {record.model for record in records if record.status == "ok"} & fusion.controls.keys()


def _check_models(models: Sequence[str], known: Set[str]) -> None:
    for model in models:
        if model not in known:
            raise UsageError(f"--model {model}: no fused model of that name has a record here. {nearest(model, known)}")
