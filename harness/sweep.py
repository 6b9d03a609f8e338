"""Evaluates trained models under perturbed conditions: images are decoded, perturbed and fitted once for all of them.

Runs inside an isolated process. What each model answers under each condition is left in the spool folder, one file
each, so that memory does not grow with the number of conditions; the runner scores the files and takes them away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.canvas import Canvas, Canvases, open_canvases
from harness.condition import Condition, Part
from harness.error_text import error_text, named_error, traceback_text
from harness.errors import BenchError
from harness.evaluate import is_out_of_memory
from harness.heartbeat import Heartbeat
from harness.images import fit_image, to_channels_first
from harness.jobs import load_trained
from harness.perturb.perturbation import IMAGE, TEXT, GeometricPerturbation, Perturbation
from harness.perturb.scales import at_scale
from harness.perturbed_inputs import ImageSource, Rewriter, Words, absence, part_for, words_for
from harness.plain_answers import answers_of, outcomes_of
from harness.plugins import load_perturbations
from harness.protocols import Learner, MovingTargets, MovingTexts, Progress, Reading, Remembering, Task
from harness.sample import Batch, Preprocessing, Sample, limited
from harness.sweep_block import FAILED, OK, SKIPPED, Answers, Subject, SweepBlock

if TYPE_CHECKING:
    from harness.attack.attack import AttackRequest
    from harness.images import Pixels

ATTACK = "attack"
"""Family of what is made for each model by itself, from its own losses."""


@dataclass
class _Student:
    """A loaded model and what it has answered so far in the group of conditions at hand."""

    subject: Subject
    learner: Learner
    reads: tuple[str, ...]
    worded: tuple[tuple[str, ...], ...] | None = None
    answers: dict[str, list[Any]] = field(default_factory=dict)
    errors: dict[str, Answers] = field(default_factory=dict)

    def reword(self, class_texts: tuple[tuple[str, ...], ...]) -> None:
        """Have the learner read these texts for the classes, unless it does already or reads none."""
        if "classes" in self.reads and self.worded != class_texts:
            assert isinstance(self.learner, Reading)
            self.learner.reword(class_texts)
            self.worded = class_texts


def sweep_job(block: SweepBlock, progress: Progress) -> dict[str, str]:
    """Run a block; returns the samples left out as unreadable, and why."""
    import cv2

    torch.set_num_threads(block.options.threads)
    cv2.setNumThreads(block.options.threads)
    progress("loading trained models", 0, 0)
    task, students = load_students(block)
    samples = limited(task.samples(block.data, block.split), block.options.limit)
    first = block.subjects[0]
    canvases = open_canvases(
        samples, block.options.shortest_px, first.places.cache, first.cell.training.on_bad_sample, progress
    )
    classes = task.spec(first.cell.training.data, ()).classes.texts
    known, rewriter = at_scale(load_perturbations(), block.options.scale), Rewriter(block.options.seed)
    sweep = _Sweep(block, task, students, canvases, tuple(tuple(group) for group in classes), known, rewriter, progress)
    done = 0
    for group in _by_image_part(block.conditions, sweep.known):
        sweep.run(group)
        done += len(group)
        progress("answered", done, len(block.conditions))
    return canvases.skipped


def load_students(block: SweepBlock) -> tuple[Task, list[_Student]]:
    """Load every model; one that cannot be loaded fails under each condition, and no other does."""
    students, task = [], None
    for subject in block.subjects:
        try:
            task, learner = load_trained(subject.cell.training, subject.places)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            for condition in block.conditions:
                _explained(error).write(block.file(subject, condition))
            continue
        reads = tuple(learner.reads) if isinstance(learner, Reading) else ()
        students.append(_Student(subject, learner, reads))
    if task is None:
        from harness.plugins import load_task

        task = load_task(block.subjects[0].cell.training.task)
    return task, students


def _by_image_part(conditions: Sequence[Condition], known: Mapping[str, Perturbation]) -> list[tuple[Condition, ...]]:
    """Group conditions whose images are the same, so that a joint condition shares its pixels with the plain one."""
    groups: dict[Part | None, list[Condition]] = {}
    for condition in conditions:
        groups.setdefault(part_for(condition, IMAGE, known), []).append(condition)
    return [tuple(group) for group in groups.values()]


@dataclass
class _Sweep:
    """One process's models, images and texts."""

    block: SweepBlock
    task: Task
    students: Sequence[_Student]
    canvases: Canvases
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
        device = self.students[0].subject.cell.training.device
        perturbation = self.known[part.name] if part else None
        source = ImageSource(self.canvases, part, perturbation, self.block.options.seed, device)
        words = {condition.label: self._words(condition, source) for condition in group}
        wanted = [(s, c) for s in self.students for c in group if self._leave_out(s, c, words[c.label]) is None]
        digest = hashlib.sha256()
        beat = Heartbeat(self.progress, "answering under perturbations")
        for chunk in self._chunks(source, digest):
            tokens = _Tokens(chunk)
            for student, condition in wanted:
                beat()
                if condition.label not in student.errors:
                    self._answer(student, condition, words[condition.label], tokens)
        for student in self.students:
            if isinstance(student.learner, Remembering):
                student.learner.forget()  # or memory would grow with every condition's words
            for condition in group:
                self._write(student, condition, words[condition.label], digest.hexdigest()[:16])

    def _answer(self, student: _Student, condition: Condition, words: Words, tokens: _Tokens) -> None:
        """Answer for one chunk; what goes wrong ends this model under this condition, and nothing else."""
        chunk = tokens.chunk
        try:
            with torch.no_grad():  # not inference mode: an attack may need gradients through what is remembered
                student.reword(words.class_texts)
                batch = Batch(
                    sample_ids=tuple(sample.sample_id for sample in chunk.samples),
                    visual=tokens.of(student.learner, student.subject.cell.training.device),
                    texts=words.texts[chunk.start : chunk.start + len(chunk.samples)],
                    sizes=chunk.sizes if student.learner.vision else (),
                    choices=tuple(sample.choices for sample in chunk.samples),
                )
                student.answers.setdefault(condition.label, []).extend(answers_of(student.learner, batch))
        except Exception as error:
            if is_out_of_memory(error):
                raise
            student.errors[condition.label] = _explained(error)
            student.answers.pop(condition.label, None)

    def _words(self, condition: Condition, source: ImageSource) -> Words:
        part = part_for(condition, TEXT, self.known)
        texts = tuple(self._text_beside(position, source) for position in range(len(self.canvases.samples)))
        original = Words(texts, self.class_texts, {}, {"text": 0, "classes": 0})
        ids = [sample.sample_id for sample in self.canvases.samples]
        perturbation = self.known[part.name] if part else None
        return words_for(part, perturbation, original, ids, self.rewriter)

    def _text_beside(self, position: int, source: ImageSource) -> str | None:
        """A sample's text, true of its image when that was moved."""
        text = self.canvases.samples[position].text
        if text is None or not isinstance(self.task, MovingTexts):
            return text
        movement = source.movement(self.canvases.rows[position])
        return text if movement is None else self.task.moved_text(text, movement)

    def _leave_out(self, student: _Student, condition: Condition, words: Words) -> str | None:
        """Say why a condition says nothing about a model: it does not see or read what is perturbed."""
        image, text = (part_for(condition, modality, self.known) for modality in (IMAGE, TEXT))
        reason = next((why for p in condition.parts if (why := absence(self.known[p.name])) is not None), None)
        if reason is not None:
            return reason
        if image is not None and student.learner.vision is None:
            return "the model sees no image"
        moves = image is not None and isinstance(self.known[image.name], GeometricPerturbation)
        if moves and not isinstance(self.task, MovingTargets):
            return f"{self.task.name} does not say what is right for an image that was moved"
        if text is not None and not student.reads:
            return "the model reads no text"
        if text is not None and not any(words.changed[kind] for kind in student.reads):
            return f"{text.name} changes none of the texts that the model reads"
        return None

    def _write(self, student: _Student, condition: Condition, words: Words, digest: str) -> None:
        path = self.block.file(student.subject, condition)
        reason = self._leave_out(student, condition, words)
        if reason is not None:
            Answers(SKIPPED, error=reason).write(path)
        elif condition.label in student.errors:
            student.errors.pop(condition.label).write(path)
        else:
            ids = [sample.sample_id for sample in self.canvases.samples]
            notes = {**words.notes, **({"pixels_sha256": digest} if student.learner.vision else {})}
            answers = list(zip(ids, student.answers.pop(condition.label), strict=True))
            Answers(OK, answers, notes=notes).write(path)

    def _chunks(self, source: ImageSource, digest: Any) -> Iterator[_Chunk]:
        """Perturb chunk by chunk; an image that several samples ask about is perturbed once."""
        seen = any(student.learner.vision is not None for student in self.students)
        rows: tuple[int, ...] = source.rows()
        kept: dict[int, Canvas] = {}
        chunk, hashed = self.block.chunk, set[int]()
        for start in range(0, len(rows), chunk):
            wanted = rows[start : start + chunk]
            if seen:
                fresh = source.read_all(row for row in dict.fromkeys(wanted) if row not in kept)
                kept = {row: kept[row] if row in kept else fresh[row] for row in dict.fromkeys(wanted)}
                for row in [row for row in kept if row not in hashed]:
                    digest.update(kept[row].tobytes())
                hashed |= kept.keys()
            samples = self.canvases.samples[start : start + chunk]
            sizes = tuple(self.canvases.sizes[row] for row in wanted)
            yield _Chunk(start, samples, wanted, dict(kept), sizes)

    def _attack(self, condition: Condition) -> None:
        """Attack each model on its own pixels, on the first samples only."""
        from harness.attack.attack import Attack

        part = condition.parts[0]
        attack = self.known[part.name]
        assert isinstance(attack, Attack)
        count = self.block.options.attack_limit
        for student in self.students:
            path = self.block.file(student.subject, condition)
            try:
                request = self._request(student, count)
                student.worded = None  # the attack words classes itself
                result = attack.predict(student.learner, request, part.severity)
                ids = [sample.sample_id for sample in request.samples]
                found = outcomes_of(ids, result.predictions) if result.skipped is None else []
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                _explained(error).write(path)
                continue
            if result.skipped is not None:
                Answers(SKIPPED, error=result.skipped).write(path)
                continue
            answers = [(outcome.sample_id, outcome.prediction) for outcome in found]
            Answers(OK, answers, notes=result.notes).write(path)

    def _request(self, student: _Student, count: int) -> AttackRequest:
        from harness.attack.attack import AttackRequest

        samples = self.canvases.samples[:count]
        rows = self.canvases.rows[:count]
        pixels = None
        if student.learner.vision is not None:
            fitted = {
                row: fit_canvas(self.canvases.read(row), student.learner.vision.preprocessing) for row in set(rows)
            }
            pixels = np.stack([fitted[row] for row in rows])
        return AttackRequest(
            pixels=pixels,
            samples=samples,
            sizes=tuple(self.canvases.sizes[row] for row in rows),
            class_texts=self.class_texts,
            batch_size=min(self.block.chunk, student.subject.cell.evaluate.batch_size),
            seed=self.block.options.seed,
            device=student.subject.cell.training.device,
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
                [fit_canvas(image, preprocessing) for image in self.chunk.images.values()]
            )
        return torch.from_numpy(self.pixels[preprocessing])

    def _spread(self, of_images: torch.Tensor) -> torch.Tensor:
        """Repeat an image's tokens for each sample that asks about it."""
        place = {row: position for position, row in enumerate(self.chunk.images)}
        return of_images[[place[row] for row in self.chunk.rows]]


def fit_canvas(image: Canvas, preprocessing: Preprocessing) -> Pixels:
    """Bring a perturbed image to the pixels `[3, size, size]` that a tower takes."""
    from PIL import Image

    return to_channels_first(fit_image(Image.fromarray(image), preprocessing))


def _explained(error: Exception) -> Answers:
    """Put an error into a sentence; what is not deliberate is a bug and keeps its traceback."""
    if isinstance(error, BenchError):
        return Answers(FAILED, error=error_text(error))
    return Answers(FAILED, error=named_error(error), trace=traceback_text())
