"""Evaluates trained models under perturbed conditions: images are decoded, perturbed and fitted once for all of them.

Runs inside an isolated process. What each model answers under each condition is left in the spool folder, one file
each, so that memory does not grow with the number of conditions; the runner scores the files and takes them away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.condition import Condition, Part
from harness.inputs.decoded_images import DecodedImage, DecodedImages, open_decoded_images
from harness.inputs.images import fit_image, to_channels_first
from harness.inputs.perturbed_inputs import ImageSource, Rewriter, Words, absence, part_for, words_for
from harness.inputs.visual_tokens import sees_images, takes_pictures
from harness.jobs.device_errors import ends_process
from harness.jobs.heartbeat import Heartbeat
from harness.jobs.loaded_model import LoadedModel, explained
from harness.jobs.robustness_block import FAILED, OK, SKIPPED, Answers, RobustnessBlock
from harness.jobs.variants import load_subject
from harness.measure.device import begin_job
from harness.metrics.plain_answers import outcomes_of
from harness.perturb.perturbation import IMAGE, TEXT, GeometricPerturbation, Perturbation
from harness.perturb.scales import at_scale
from harness.plan.plugins import load_perturbations
from harness.protocols import Learner, MovesTargets, MovesTexts, Progress, ReadsText, SupportsForget, Task
from harness.sample import Batch, Preprocessing, Sample, limited
from harness.text.failed_samples import no_answers_told

if TYPE_CHECKING:
    from harness.inputs.images import Pixels
    from harness.perturb.attack.request import AttackRequest

ATTACK = "attack"
"""Family of what is made for each model by itself, from its own losses."""


def robustness_job(block: RobustnessBlock, progress: Progress) -> dict[str, str]:
    """Run a block; returns the samples left out as unreadable, and why."""
    import cv2

    deterministic = any(subject.cell.training.train.deterministic for subject in block.subjects)
    begin_job(block.options.threads, deterministic=deterministic)
    cv2.setNumThreads(block.options.threads)
    progress("loading trained models", 0, 0)
    task, loaded_models = load_models(block, progress)
    samples = limited(task.samples(block.data, block.split), block.options.limit)
    first = block.subjects[0]
    decoded_images = open_decoded_images(
        samples, block.options.shortest_px, first.places.cache, first.cell.training.on_bad_sample, progress
    )
    classes = task.spec(first.cell.training.data, ()).classes.texts_at_test
    known, rewriter = at_scale(load_perturbations(), block.options.scale), Rewriter(block.options.seed)
    sweep = _RobustnessJob(
        block, task, loaded_models, decoded_images, tuple(tuple(group) for group in classes), known, rewriter, progress
    )
    done = 0
    for group in _by_image_part(block.conditions, sweep.known):
        sweep.run(group)
        done += len(group)
        progress("answered", done, len(block.conditions))
    return decoded_images.skipped


def load_models(block: RobustnessBlock, progress: Progress) -> tuple[Task, list[LoadedModel]]:
    """Load every model; one that cannot be loaded fails under each condition, and no other does."""
    loaded_models, task = [], None
    for subject in block.subjects:
        try:
            task, learner, _ = load_subject(subject.cell, subject.places, progress)
        except Exception as error:
            if ends_process(error):
                raise
            for condition in block.conditions:
                explained(error).write(block.file(subject, condition))
            continue
        reads = tuple(learner.reads) if isinstance(learner, ReadsText) else ()
        loaded_models.append(LoadedModel(subject, learner, reads))
    if task is None:
        from harness.plan.plugins import load_task

        task = load_task(block.subjects[0].cell.training.task)
    return task, loaded_models


def _by_image_part(conditions: Sequence[Condition], known: Mapping[str, Perturbation]) -> list[tuple[Condition, ...]]:
    """Group conditions whose images are the same, so that a joint condition shares its pixels with the plain one."""
    groups: dict[Part | None, list[Condition]] = {}
    for condition in conditions:
        groups.setdefault(part_for(condition, IMAGE, known), []).append(condition)
    return [tuple(group) for group in groups.values()]


@dataclass
class _RobustnessJob:
    """One process's models, images and texts."""

    block: RobustnessBlock
    task: Task
    loaded_models: Sequence[LoadedModel]
    decoded_images: DecodedImages
    class_texts: tuple[tuple[str, ...], ...]
    known: Mapping[str, Perturbation]
    rewriter: Rewriter
    progress: Progress

    def run(self, group: Sequence[Condition]) -> None:
        """Answer under all conditions of a group and leave the answers in the spool."""
        attacks = [c for c in group if any(self.known[part.name].family == ATTACK for part in c.parts)]
        for condition in attacks:
            self._attack(condition)
        plain = [condition for condition in group if condition not in attacks]
        if plain:
            self._predict(plain)

    def _predict(self, group: Sequence[Condition]) -> None:
        part = part_for(group[0], IMAGE, self.known)
        device = self.loaded_models[0].subject.cell.training.device
        perturbation = self.known[part.name] if part else None
        source = ImageSource(self.decoded_images, part, perturbation, self.block.options.seed, device)
        words = {condition.label: self._words(condition, source) for condition in group}
        wanted = [(s, c) for s in self.loaded_models for c in group if self._leave_out(s, c, words[c.label]) is None]
        digest = hashlib.sha256()
        beat = Heartbeat(self.progress, "answering under perturbations")
        rows = source.rows()
        with source.in_order(self._fresh_rows(rows)) as fresh, ExitStack() as stack:
            for chunk in self._chunks(rows, fresh, digest):
                tokens = _Tokens(chunk)
                for loaded, condition in wanted:
                    beat()
                    if condition.label not in loaded.errors:
                        self._answer(loaded, condition, words[condition.label], tokens, stack)
            for loaded in self.loaded_models:
                loaded.finish(beat)
        for loaded in self.loaded_models:
            if isinstance(loaded.learner, SupportsForget):
                loaded.learner.forget()  # or memory would grow with every condition's words
            for condition in group:
                self._write(loaded, condition, words[condition.label], digest.hexdigest()[:16])

    def _answer(
        self, loaded: LoadedModel, condition: Condition, words: Words, tokens: _Tokens, stack: ExitStack
    ) -> None:
        """Answer for one chunk, or begin to; what goes wrong ends this model under this condition, and nothing else."""
        chunk = tokens.chunk
        # No inference mode: an attack may need gradients through what is remembered.
        with loaded.noting_errors(condition.label), loaded.precision, torch.no_grad():
            loaded.reword(words.class_texts)
            batch = Batch(
                sample_ids=tuple(sample.sample_id for sample in chunk.samples),
                visual=tokens.of(loaded.learner, loaded.subject.cell.training.device),
                texts=words.texts[chunk.start : chunk.start + len(chunk.samples)],
                sizes=chunk.sizes if loaded.learner.vision else (),
                choices=tuple(sample.choices for sample in chunk.samples),
                pictures=tuple(chunk.images[row] for row in chunk.rows) if takes_pictures(loaded.learner) else (),
            )
            loaded.begin(condition.label, batch, stack)

    def _words(self, condition: Condition, source: ImageSource) -> Words:
        part = part_for(condition, TEXT, self.known)
        texts = tuple(self._text_beside(position, source) for position in range(len(self.decoded_images.samples)))
        original = Words(texts, self.class_texts, {}, {"text": 0, "classes": 0})
        ids = [sample.sample_id for sample in self.decoded_images.samples]
        perturbation = self.known[part.name] if part else None
        return words_for(part, perturbation, original, ids, self.rewriter)

    def _text_beside(self, position: int, source: ImageSource) -> str | None:
        """A sample's text, true of its image when that was moved."""
        text = self.decoded_images.samples[position].text
        if text is None or not isinstance(self.task, MovesTexts):
            return text
        affine = source.affine(self.decoded_images.rows[position])
        return text if affine is None else self.task.moved_text(text, affine)

    def _leave_out(self, loaded: LoadedModel, condition: Condition, words: Words) -> str | None:
        """Say why a condition says nothing about a model: it does not see or read what is perturbed."""
        image, text = (part_for(condition, modality, self.known) for modality in (IMAGE, TEXT))
        reason = next((why for p in condition.parts if (why := absence(self.known[p.name])) is not None), None)
        if reason is not None:
            return reason
        if image is not None and not sees_images(loaded.learner):
            return "the model sees no image"
        moves = image is not None and isinstance(self.known[image.name], GeometricPerturbation)
        if moves and not isinstance(self.task, MovesTargets):
            return f"{self.task.name} does not say what is right for an image that was moved"
        if text is not None and not loaded.reads:
            return "the model reads no text"
        if text is not None and not any(words.changed[kind] for kind in loaded.reads):
            return f"{text.name} changes none of the texts that the model reads"
        return None

    def _write(self, loaded: LoadedModel, condition: Condition, words: Words, digest: str) -> None:
        path = self.block.file(loaded.subject, condition)
        reason = self._leave_out(loaded, condition, words)
        if reason is not None:
            Answers(SKIPPED, error=reason).write(path)
        elif condition.label in loaded.errors:
            loaded.errors.pop(condition.label).write(path)
        elif failed := loaded.failed.pop(condition.label, {}):
            loaded.answers.pop(condition.label)
            told = no_answers_told(failed, len(self.decoded_images.samples))
            Answers(FAILED, error=f"{told}: no score. Run again: these alone are asked anew.").write(path)
        else:
            ids = [sample.sample_id for sample in self.decoded_images.samples]
            notes = {**words.notes, **({"pixels_sha256": digest} if sees_images(loaded.learner) else {})}
            answers = list(zip(ids, loaded.answers.pop(condition.label), strict=True))
            Answers(OK, answers, notes=notes).write(path)

    def _fresh_rows(self, rows: Sequence[int]) -> list[list[int]]:
        """List for each chunk the images to be perturbed: all that the chunk before has not; none for the blind."""
        chunk = self.block.chunk
        parts = [dict.fromkeys(rows[start : start + chunk]) for start in range(0, len(rows), chunk)]
        if not any(sees_images(loaded.learner) for loaded in self.loaded_models):
            return [[] for _ in parts]
        return [[row for row in part if row not in before] for before, part in pairwise([{}, *parts])]

    def _chunks(
        self, rows: Sequence[int], fresh_images: Iterator[Mapping[int, DecodedImage]], digest: Any
    ) -> Iterator[_Chunk]:
        """Gather chunk by chunk; an image that several samples ask about is perturbed once."""
        kept: Mapping[int, DecodedImage] = {}
        chunk, hashed = self.block.chunk, set[int]()
        for start, fresh in zip(range(0, len(rows), chunk), fresh_images, strict=True):
            wanted = rows[start : start + chunk]
            known = {**kept, **fresh}
            kept = {row: known[row] for row in dict.fromkeys(wanted) if row in known}
            for row in [row for row in kept if row not in hashed]:
                digest.update(kept[row].tobytes())
            hashed |= kept.keys()
            samples = self.decoded_images.samples[start : start + chunk]
            sizes = tuple(self.decoded_images.sizes[row] for row in wanted)
            yield _Chunk(start, samples, tuple(wanted), kept, sizes)

    def _attack(self, condition: Condition) -> None:
        """Attack each model on its own pixels, on the first samples only."""
        from harness.perturb.attack.request import Attack

        part = condition.parts[0]
        attack = self.known[part.name]
        assert isinstance(attack, Attack)
        count = self.block.options.attack_limit
        for loaded in self.loaded_models:
            path = self.block.file(loaded.subject, condition)
            if loaded.subject.cell.variant is not None:
                Answers(SKIPPED, error="attacks are made for the model that it is a variant of").write(path)
                continue
            try:
                request = self._request(loaded, count)
                loaded.worded = None  # the attack words classes itself
                with loaded.precision:
                    result = attack.predict(loaded.learner, request, part.severity)
                ids = [sample.sample_id for sample in request.samples]
                found = outcomes_of(ids, result.predictions) if result.skipped is None else []
            except Exception as error:
                if ends_process(error):
                    raise
                explained(error).write(path)
                continue
            if result.skipped is not None:
                Answers(SKIPPED, error=result.skipped).write(path)
                continue
            answers = [(outcome.sample_id, outcome.prediction) for outcome in found]
            Answers(OK, answers, notes=result.notes).write(path)

    def _request(self, loaded: LoadedModel, count: int) -> AttackRequest:
        from harness.perturb.attack.request import AttackRequest

        samples = self.decoded_images.samples[:count]
        rows = self.decoded_images.rows[:count]
        pixels = None
        if loaded.learner.vision is not None:
            fitted = {
                row: fit_decoded_image(self.decoded_images.read(row), loaded.learner.vision.preprocessing)
                for row in set(rows)
            }
            pixels = np.stack([fitted[row] for row in rows])
        return AttackRequest(
            pixels=pixels,
            samples=samples,
            sizes=tuple(self.decoded_images.sizes[row] for row in rows),
            class_texts=self.class_texts,
            batch_size=min(self.block.chunk, loaded.subject.cell.evaluate.batch_size),
            seed=self.block.options.seed,
            device=loaded.subject.cell.training.device,
            score=self.task.validation_score,
            beat=Heartbeat(self.progress, "attacking"),
        )


@dataclass(frozen=True)
class _Chunk:
    """Samples from `start` on, the rows that they are shown, and those images, perturbed."""

    start: int
    samples: tuple[Sample, ...]
    rows: tuple[int, ...]
    images: Mapping[int, Any]
    sizes: tuple[tuple[int, int], ...]


@dataclass
class _Tokens:
    """Pixels of a chunk by preprocessing, and tokens by frozen tower: each made once for all models."""

    chunk: _Chunk
    pixels: dict[Preprocessing, Pixels] = field(default_factory=dict)
    tokens: dict[str, torch.Tensor] = field(default_factory=dict)

    def of(self, learner: Learner, device: str) -> torch.Tensor | None:
        """Give a learner its visual tokens `[B, N, d]` of the chunk's samples, None where it sees no image."""
        tower = learner.vision
        if tower is None:
            return None
        if not learner.vision_frozen:
            return self._spread(tower(self._pixels(tower.preprocessing).to(device)))
        if tower.key not in self.tokens:
            self.tokens[tower.key] = tower(self._pixels(tower.preprocessing).to(device)).float()
        return self._spread(self.tokens[tower.key])

    def _pixels(self, preprocessing: Preprocessing) -> torch.Tensor:
        if preprocessing not in self.pixels:
            self.pixels[preprocessing] = np.stack(
                [fit_decoded_image(image, preprocessing) for image in self.chunk.images.values()]
            )
        return torch.from_numpy(self.pixels[preprocessing])

    def _spread(self, of_images: torch.Tensor) -> torch.Tensor:
        """Repeat an image's tokens for each sample that asks about it."""
        place = {row: position for position, row in enumerate(self.chunk.images)}
        return of_images[[place[row] for row in self.chunk.rows]]


def fit_decoded_image(image: DecodedImage, preprocessing: Preprocessing) -> Pixels:
    """Bring a perturbed image to the pixels `[3, size, size]` that a tower takes."""
    from PIL import Image

    return to_channels_first(fit_image(Image.fromarray(image), preprocessing))
