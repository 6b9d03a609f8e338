"""Makes the variant of a trained model that a cell is about, and says how near its answers are to the parent's."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from harness.cell import Cell, ModelVariant, Places, fingerprint_of
from harness.compress.prune import RECOVERED
from harness.errors import NotCompressible
from harness.files import one_at_a_time
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.built_learner import load_trained
from harness.jobs.evaluated_images import computed_tokens, evaluation_images
from harness.jobs.parity import observe, parity_of
from harness.jobs.recovery import recover
from harness.plan.modifiers import Modifier, load_modifier
from harness.protocols import (
    AsksService,
    CompressionWork,
    HasSampleLosses,
    Learner,
    Progress,
    ReadsText,
    SupportsForget,
    Task,
)
from harness.records.trainings import read_training

_LOCK = "made"
PARITY_SAMPLES = 256
"""On so many samples at most the variant is compared with its parent before any number of it counts."""


def load_subject(cell: Cell, places: Places, progress: Progress) -> tuple[Task, Learner, float]:
    """Load a cell's trained learner, and make its variant of it where it is about one; in how many seconds that was.

    Raises NotCompressible naming what cannot be converted.
    """
    task, learner = load_trained(cell.training, places)
    if cell.variant is None:
        return task, learner, 0.0
    tokens = _tokens(cell, task, learner, places, progress)
    return task, learner, make_variant(cell, task, learner, tokens, places, progress)["seconds_to_make"]


@dataclass(frozen=True)
class MadeVariant:
    """A variant, and what is known of it: how it was made, its size, and its parity with the parent."""

    learner: Learner
    told: Mapping[str, Any]


def checked_variant(cell: Cell, task: Task, learner: Learner, places: Places, progress: Progress) -> MadeVariant:
    """Make the variant and compare it with its parent; raises NotCompressible where none of its numbers may count."""
    variant = cell.variant
    assert variant is not None
    _require_torch(learner, variant)
    progress("preparing the comparison with its parent", 0, 0)
    tokens = _tokens(cell, task, learner, places, progress)
    few = replace(tokens, samples=tokens.samples[:PARITY_SAMPLES])
    parent = observe(learner, few, cell.evaluate.batch_size)
    bytes_before = bytes_of_tensors(learner)
    changed = copy.deepcopy(learner)
    told = make_variant(cell, task, changed, tokens, places, progress)
    progress("comparing it with its parent", 0, 0)
    parity = parity_of(parent, observe(changed, replace(few, learner=changed), cell.evaluate.batch_size))
    exact = all(each.plugin.exact for each in modifiers_of(variant))
    if (objection := parity.objection(exact=exact)) is not None:
        raise NotCompressible(
            f"+{variant.name} does not stand beside its parent: {objection}, on {parity.samples} samples. No number of "
            "it counts."
        )
    return MadeVariant(changed, {**told, "parent_bytes": bytes_before, "parity": parity.to_json(), "exact": exact})


def make_variant(
    cell: Cell, task: Task, learner: Learner, tokens: VisualTokens, places: Places, progress: Progress
) -> dict[str, Any]:
    """Change a learner in place into its variant; returns how, how long that took, and the bytes that it takes."""
    variant = cell.variant
    assert variant is not None
    _require_torch(learner, variant)
    folder = variant_folder(variant, places)

    def train(steps: int, after_step: Callable[[], None]) -> None:
        recover(learner, task, cell.training, places, progress, steps, after_step)

    begun = time.perf_counter()
    progress(f"making {variant.name} of it", 0, 0)
    with one_at_a_time(folder / _LOCK):
        shared = places.cache / "compiled"
        work = CompressionWork(learner, "", _answering(tokens), folder, train, _losing(tokens), shared)
        done = change_in_place(modifiers_of(variant), work)
    seconds = time.perf_counter() - begun
    vision: Any = learner.vision
    if vision is not None:
        vision.key = f"{vision.key}+{variant.name}"  # its tokens are not those of the parent's tower
    if any(part for part in _modules(learner) if hasattr(part, "converted_parameters")):
        _hold_class_texts(learner, task.spec(cell.training.data, ()).classes.texts_at_test)
    return {"done": done, "bytes": bytes_of_variant(learner, folder), "seconds_to_make": seconds}


def change_in_place(modifiers: Sequence[Modifier], work: CompressionWork) -> dict[str, Any]:
    """Apply modifiers to a learner one after the other, each with its argument; returns what each did, by its word."""
    return {each.word: dict(each.plugin.compress(replace(work, argument=each.argument))) for each in modifiers}


def variant_files(folder: Path) -> list[Path]:
    """What a variant was converted to, in the folder where it lies."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != f"{_LOCK}.lock"]


def modifiers_of(variant: ModelVariant) -> list[Modifier]:
    """Load the modifiers of a variant, in their order."""
    return [load_modifier(word) for word in variant.name.split("+")]


def bytes_of_variant(learner: Learner, folder: Path) -> int:
    """Add up what a variant takes, in bytes: its tensors, and the files that it was converted to."""
    files = (path for path in variant_files(folder) if path.name != RECOVERED)  # tensors of the learner once more
    return bytes_of_tensors(learner) + sum(path.stat().st_size for path in files)


def bytes_of_tensors(learner: Learner) -> int:
    """Add up what a learner's weights take, in bytes: each memory once, quantised ones in the bits they are kept in."""
    module: Any = learner
    seen: dict[int, int] = {}
    converted = {id(p) for part in module.modules() for p in getattr(part, "converted_parameters", ())}
    for tensor in [*module.parameters(), *module.buffers()]:
        if id(tensor) not in converted:
            for part in _plain_tensors(tensor):
                storage = part.untyped_storage()
                seen[storage.data_ptr()] = storage.nbytes()
    return sum(seen.values())


def _modules(learner: Learner) -> list[Any]:
    module: Any = learner
    return list(module.modules())


def _hold_class_texts(learner: Learner, texts: Sequence[Sequence[str]]) -> None:
    """Refuse other words for classes: what was made of these may be part of the exported graph."""
    if not isinstance(learner, ReadsText) or "classes" not in learner.reads:
        return
    held = tuple(map(tuple, texts))

    def refuse(class_texts: Sequence[Sequence[str]]) -> None:
        if tuple(map(tuple, class_texts)) != held:
            raise NotCompressible("Its classes were exported by their names: only its parent can read other words.")

    vars(learner)["reword"] = refuse


def _plain_tensors(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Take a tensor of torchao apart into the plain ones that it holds."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return [tensor.detach()]
    names, _ = tensor.__tensor_flatten__()
    return [part for name in names for part in _plain_tensors(getattr(tensor, name))]


def variant_folder(variant: ModelVariant, places: Places) -> Path:
    """Give the place of a variant's files, beside the training whose checkpoint it is made of; made if need be."""
    checkpoint = read_training(places.training)["checkpoint_sha256"]
    folder = places.training / "variants" / fingerprint_of({"of": checkpoint, **asdict(variant)})
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _answering(tokens: VisualTokens) -> Callable[[Learner, int], None]:
    def answer(learner: Learner, count: int) -> None:
        if isinstance(learner, SupportsForget):
            learner.forget()
        with torch.inference_mode():
            learner.predict(replace(tokens, learner=learner).batch(range(min(count, len(tokens))), with_targets=False))

    return answer


def _losing(tokens: VisualTokens) -> Callable[[Learner, int], None]:
    def lose(learner: Learner, count: int) -> None:
        if isinstance(learner, HasSampleLosses):
            with torch.inference_mode():
                learner.losses(
                    replace(tokens, learner=learner).batch(range(min(count, len(tokens))), with_targets=True)
                )

    return lose


def _tokens(cell: Cell, task: Task, learner: Learner, places: Places, progress: Progress) -> VisualTokens:
    images = evaluation_images(cell, task, learner, places, progress)
    return computed_tokens(cell.training.device, learner, images)


def _require_torch(learner: Learner, variant: ModelVariant) -> None:
    if not isinstance(learner, torch.nn.Module) or isinstance(learner, AsksService):
        where = "its model answers elsewhere" if isinstance(learner, AsksService) else "it is no torch module"
        raise NotCompressible(
            f"+{variant.name}: {type(learner).__name__} cannot be changed here: {where}. Leave the modifier out."
        )
