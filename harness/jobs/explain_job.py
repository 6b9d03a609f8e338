"""Explains what a trained model answers: maps by each method, on shuffled weights too, and what they score.

Runs inside an isolated process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.cell import Cell, ExplainOptions, Places
from harness.explain.attributions import Effort, attribute
from harness.explain.explained import Explained
from harness.explain.map_kinds import OF_MODEL, ON_SHUFFLED
from harness.explain.methods import METHODS
from harness.explain.random_weights import has_weights, shuffled_weights
from harness.explain.references import reference_of
from harness.explain.sample_maps import (
    BOTH,
    IMAGE,
    TEXT,
    SampleMaps,
    decisive_words,
    interaction_of,
    share_within,
)
from harness.inputs.images import ImageSplit, fit_image
from harness.jobs.built_learner import load_trained
from harness.jobs.emap import spread
from harness.jobs.evaluated_images import evaluation_images
from harness.jobs.heartbeat import Heartbeat
from harness.measure.device import autocast, begin_job
from harness.perturb.attack.request import AttackRequest
from harness.perturb.attack.victim import cannot_query, prepared
from harness.protocols import HasEvidence, HasSampleLosses, Progress, ReadsText, SupportsForget, Task
from harness.sample import AnswerEvidence

if TYPE_CHECKING:
    from harness.sample import Preprocessing, Sample


@dataclass
class ExplainedTable:
    """What samples score: columns `[N]` by (map, measure), in the order of the samples."""

    sample_ids: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    columns: dict[tuple[str, str], list[float]] = field(default_factory=dict)


@dataclass
class Explanations:
    """What a job has found: tables by name, why methods have nothing to say, how many samples, and some maps.

    A table is of a modality and of what its measures hold maps against, such as image-truth; `skipped` is by method and
    modality.
    """

    tables: dict[str, ExplainedTable] = field(default_factory=dict)
    skipped: dict[tuple[str, str], str] = field(default_factory=dict)
    samples: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)


def explain_job(
    cell: Cell, places: Places, methods: tuple[str, ...], options: ExplainOptions, progress: Progress
) -> Explanations:
    """Explain some samples of a cell's split with its checkpoint."""
    begin_job(options.threads, deterministic=cell.training.train.deterministic)
    task, learner = load_trained(cell.training, places)
    images = evaluation_images(cell, task, learner, places, progress)
    chosen = spread([sample.sample_id for sample in images.samples], options.limit)
    classes = task.spec(cell.training.data, ()).classes.texts_at_test
    request = AttackRequest(
        None, tuple(images.samples[index] for index in chosen), images.sizes_of(chosen),
        tuple(tuple(group) for group in classes), cell.evaluate.batch_size, options.seed, cell.training.device,
    )  # fmt: skip
    with prepared(learner, request), autocast(cell.training.device, cell.evaluate.precision):
        return _Explaining(cell, task, learner, images, chosen, options, request, progress).run(methods)


class _Explaining:
    """One model and the samples that are explained."""

    def __init__(
        self,
        cell: Cell,
        task: Task,
        learner: Any,
        images: ImageSplit,
        chosen: Sequence[int],
        options: ExplainOptions,
        request: AttackRequest,
        progress: Progress,
    ) -> None:
        self.cell, self.learner, self.options, self.request = cell, learner, options, request
        self.samples = request.samples
        self.beat = Heartbeat(progress, "explaining")
        self.reads = tuple(learner.reads) if isinstance(learner, ReadsText) else ()
        self.found = Explanations(samples=len(self.samples))
        known: Sequence[AnswerEvidence | None] = [None] * len(self.samples)
        if isinstance(task, HasEvidence):
            known = task.evidence(cell.training.data, cell.split, self.samples)
        self.evidence = known
        self.maps = self._open(images, chosen)

    def run(self, methods: Sequence[str]) -> Explanations:
        """Make all maps, then score them with the weights as they were trained."""
        able = [method for method in methods if self._is_able(method)]
        if not able:
            return self.found
        self._explain(able, "")
        if has_weights(self.learner):
            with shuffled_weights(self.learner, self.cell.training.seed, self._forget):
                self._explain(able, ON_SHUFFLED)
        else:
            self.found.notes["random_weights"] = "the model has no weights here that could be shuffled"
        self._score()
        return self.found

    def _is_able(self, method: str) -> bool:
        """Note why a method has nothing to say of this model, of an image or of a text."""
        reason = None
        if METHODS[method].gradients and not (
            isinstance(self.learner, torch.nn.Module) and isinstance(self.learner, HasSampleLosses)
        ):
            reason = "the model is no torch module with losses, so that nothing can be differentiated"
        elif self.learner.vision is None and "text" not in self.reads:
            reason = "the model has no tower for images that pixels could be changed for, and reads no text"
        elif not isinstance(self.learner, HasSampleLosses):
            reason = cannot_query(self.learner, self.request)
        if reason is not None:
            self.found.skipped[method, IMAGE] = self.found.skipped[method, TEXT] = reason
            return False
        if self.learner.vision is None:
            self.found.skipped[method, IMAGE] = "the model sees no image"
        if "text" not in self.reads:
            reads = " but those of classes, which are the same for all samples" if "classes" in self.reads else ""
            self.found.skipped[method, TEXT] = f"the model reads no text{reads}"
        elif not any(maps.explained.words for maps in self.maps):
            self.found.skipped[method, TEXT] = "there is no text beside the images"
        elif not METHODS[method].words:
            self.found.skipped[method, TEXT] = f"{method} explains images alone"
        elif METHODS[method].gradients and all(maps.explained.embedded is None for maps in self.maps):
            self.found.skipped[method, TEXT] = "nothing reads the text by tokens that could be differentiated"
        return True

    def _open(self, images: ImageSplit, chosen: Sequence[int]) -> list[SampleMaps]:
        vision = self.learner.vision
        pixels: list[torch.Tensor] | None = None
        if vision is not None:
            read = torch.from_numpy(images.read(chosen)).to(self.cell.training.device).float() / 255.0
            pixels = list(read)
        maps = []
        for place, sample in enumerate(self.samples):
            own = None if pixels is None else pixels[place]
            other = None if pixels is None else pixels[self._partner(place)]
            text = sample.text if "text" in self.reads else None
            explained = Explained(
                learner=self.learner,
                sample=sample,
                pixels=own,
                reference=None if own is None or other is None else reference_of(self.options.reference, own, other),
                words=tuple((text or "").split()),
                size=images.sizes_of([chosen[place]])[0] if images.sizes else (0, 0),
                grid=self.options.grid,
            )
            known = self.evidence[place]
            within = None
            if vision is not None and known is not None and known.mask is not None:
                within = share_within(fitted_mask(known.mask, vision.preprocessing), self.options.grid)
            decisive = decisive_words(explained.words, known.words) if known and explained.words else None
            maps.append(SampleMaps(explained, within, decisive))
        return maps

    def _partner(self, place: int) -> int:
        """The next sample with another image, and another text where there are texts; itself where there is none."""
        own = self.samples[place]
        for step in range(1, len(self.samples)):
            other = (place + step) % len(self.samples)
            sample = self.samples[other]
            if sample.image != own.image and (own.text is None or sample.text != own.text):
                return other
        return place

    def _explain(self, methods: Sequence[str], suffix: str) -> None:
        for maps in self.maps:
            self.beat()
            effort = Effort(self.options.points, self.options.draws, self._seed(maps.explained.sample))
            for method in methods:
                found = attribute(method, maps.explained, effort)
                if found.image is not None:
                    maps.image[f"{method}{suffix}"] = found.image
                if found.words is not None:
                    maps.words[f"{method}{suffix}"] = found.words
            self._forget_texts()

    def _score(self) -> None:
        for place, maps in enumerate(self.maps):
            self.beat()
            sample = maps.explained.sample
            seed = self._seed(sample)
            maps.add_baselines(np.random.default_rng(seed))
            found = dict(maps.score(self.options.curve, seed))
            other = self._partner(place)
            if maps.explained.pixels is not None and maps.explained.words and other != place:
                found[BOTH] = {(OF_MODEL, "interaction"): interaction_of(maps.explained, self.maps[other].explained)}
            known = self.evidence[place]
            for name, columns in found.items():
                table = self.found.tables.setdefault(name, ExplainedTable())
                table.sample_ids.append(sample.sample_id)
                table.clusters.append((known.cluster if known else "") or sample.sample_id)
                for key, value in columns.items():
                    table.columns.setdefault(key, []).append(value)
            if place < self.options.examples:
                self.found.examples.append(self._example(maps))
            self._forget_texts()

    def _example(self, maps: SampleMaps) -> dict[str, Any]:
        explained = maps.explained
        image = None
        if explained.pixels is not None:
            image = (explained.pixels * 255).round().to(torch.uint8).cpu().numpy()
        return {
            "sample_id": explained.sample.sample_id,
            "text": explained.sample.text,
            "words": list(explained.words),
            "pixels": image,
            "grid": explained.grid,
            "within": None if maps.within is None else maps.within.tolist(),
            "decisive": None if maps.decisive is None else maps.decisive.tolist(),
            "maps": {name: values.tolist() for name, values in maps.image.items()},
            "word_maps": {name: values.tolist() for name, values in maps.words.items()},
        }

    def _seed(self, sample: Sample) -> int:
        """A seed of each sample's own, so that no draw depends on which others are explained."""
        name = f"{self.options.seed} {sample.sample_id}".encode("utf-8", "surrogateescape")
        return int.from_bytes(hashlib.sha256(name).digest()[:6], "big")

    def _forget(self) -> None:
        if isinstance(self.learner, ReadsText) and "classes" in self.reads:
            self.learner.reword(self.request.class_texts)
        self._forget_texts()

    def _forget_texts(self) -> None:
        if isinstance(self.learner, SupportsForget):
            self.learner.forget()


def fitted_mask(mask: Any, preprocessing: Preprocessing) -> Any:
    """Fit a mask `[H, W]` as its image is fitted: bool `[S, S]`."""
    from PIL import Image

    image = Image.fromarray(np.repeat(np.asarray(mask, dtype=np.uint8)[:, :, None] * 255, 3, axis=2), "RGB")
    return np.asarray(fit_image(image, preprocessing))[:, :, 0] >= 128
