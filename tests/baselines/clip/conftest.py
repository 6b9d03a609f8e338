"""Tiny open_clip models of every kind of text tower, with random weights, saved as open_clip saves them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.protocols import BuildContext
from harness.sample import Batch, Classes, TaskSpec

NAMES = ("dog", "cat", "red circle", "blue two-horned star", "house", "aeroplane")
TEMPLATES = ("a photo of a {}.", "{}", "a very very blurry drawing of the large {} in the wild!")
SEEN = (True, True, True, True, False, False)
WIDTH = 16
TEXT = {"context_length": 40, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
VISION = {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8}
CONFIGS: dict[str, dict[str, Any]] = {
    "clip": {"text_cfg": TEXT},
    "resnet": {"text_cfg": TEXT, "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8}},
    "custom": {"text_cfg": TEXT, "custom_text": True},
    "eos": {"text_cfg": {**TEXT, "pool_type": "eos", "eos_id": 49407}, "quick_gelu": True},
    "siglip": {
        "text_cfg": {**TEXT, "no_causal_mask": True, "pool_type": "last", "proj_bias": True},
        "custom_text": True,
        "init_logit_bias": -2.0,
        "init_logit_scale": 1.0,
    },
    "mobileclip": {"text_cfg": {**TEXT, "no_causal_mask": True}, "custom_text": True},
    "coca": {
        "text_cfg": {**TEXT, "embed_cls": True, "output_tokens": True},
        "vision_cfg": {**VISION, "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
        "multimodal_cfg": {**TEXT, "attn_pooler_heads": 2},
        "custom_text": True,
    },
    "hf": {
        "text_cfg": {"hf_model_name": "", "hf_tokenizer_name": "here", "hf_proj_type": "linear", "context_length": 40}
    },
}
KINDS = tuple(CONFIGS)


@dataclass(frozen=True)
class Label:
    """Stands for the task's own target."""

    label: int
    labels: tuple[int, ...] = ()


def classes_of(names: Sequence[str] = NAMES, seen: Sequence[bool] = SEEN, *, multilabel: bool = False) -> Classes:
    texts = tuple(tuple(template.format(name) for template in TEMPLATES) for name in names)
    return Classes(tuple(names), texts, tuple(seen), multilabel=multilabel)


TARGETS = tuple(Label(index % 4, tuple(int((index >> k) & 1) for k in range(6))) for index in range(48))
SPEC = TaskSpec("zero-shot-classification", TARGETS, "labels", classes_of())
SEVERAL = TaskSpec("image-classification", TARGETS, "labels", classes_of(seen=(True,) * 6, multilabel=True))


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, languages: dict[str, Path]) -> Callable[[str], Path]:
    """Give the folder of a tiny model by kind, made once."""
    made: dict[str, Path] = {}

    def give(kind: str) -> Path:
        if kind not in made:
            made[kind] = save_open_clip(kind, tmp_path_factory.mktemp(f"open-clip-{kind}"), languages["bert"])
        return made[kind]

    return give


def save_open_clip(kind: str, folder: Path, bert: Path) -> Path:
    """Save a tiny model with random weights; one of kind "hf" reads texts with the BERT of another folder."""
    import open_clip
    from safetensors.torch import save_file

    config = {"embed_dim": WIDTH, "vision_cfg": VISION, **json.loads(json.dumps(CONFIGS[kind]))}
    if kind == "hf":
        from transformers import AutoTokenizer

        config["text_cfg"]["hf_model_name"] = str(bert)
        AutoTokenizer.from_pretrained(bert).save_pretrained(folder)
    preprocess = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "interpolation": "bicubic"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    torch.manual_seed(3)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False)
    for name, parameter in model.named_parameters():  # larger than at the start, so that texts make a difference
        parameter.data.mul_(4) if parameter.ndim > 1 and "logit" not in name else None
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    return folder


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., BuildContext]:
    """Make a context: `context(seed=0, clip=FOLDER, shots=2, ...)`."""
    cache = tmp_path_factory.mktemp("cache")

    def make(
        *, seed: int = 0, tune: str | None = None, prerequisite: Path | None = None, **settings: Any
    ) -> BuildContext:
        language = settings.pop("language", None)
        options = ModelOptions(settings=settings, tune=tune, language=language, task=SPEC.task)
        return BuildContext(options, TrainOptions(dropout=0.0), DecodeOptions(), seed, cache, prerequisite)

    return make


@pytest.fixture(scope="session")
def build(folders: Callable[[str], Path], context: Callable[..., BuildContext]) -> Callable[..., Any]:
    """Build a model of the catalogue on a tiny checkpoint: `build(clip_coop, "clip", seed=0, context_vectors=4)`."""

    def make(model: Any, kind: str = "clip", *, spec: TaskSpec = SPEC, **wishes: Any) -> Any:
        return model.build(spec, context(clip=f"local-dir:{folders(kind)}", **wishes))

    return make


def feature_batch(count: int = 48, *, tokens: int = 1, width: int = WIDTH, first: int = 0) -> Batch:
    """Visual tokens that tell the class, the same for the same rows; targets beside them."""
    generator = torch.Generator().manual_seed(5)
    centres = torch.randn(4, 1, width, generator=generator)
    noise = torch.randn(48, tokens, width, generator=generator)
    labels = torch.tensor([target.label for target in TARGETS])
    rows = slice(first, first + count)
    visual = (2 * centres[labels] + noise)[rows]
    names = tuple(f"image-{index}" for index in range(48))[rows]
    return Batch(names, visual, (None,) * len(names), TARGETS[rows])


def rows_of(batch: Batch, rows: slice) -> Batch:
    """Cut rows out of a batch, without targets."""
    assert batch.visual is not None
    return Batch(batch.sample_ids[rows], batch.visual[rows], batch.texts[rows])


def image_batch(learner: Any, count: int) -> Batch:
    """Random images as the learner's own tower sees them; targets beside them."""
    size = learner.vision.preprocessing.size
    generator = torch.Generator().manual_seed(9)
    pixels = torch.randint(0, 256, (16, 3, size, size), generator=generator, dtype=torch.uint8)[:count]
    names = tuple(f"image-{index}" for index in range(count))
    return Batch(names, learner.vision(pixels), (None,) * count, TARGETS[:count])


def train_steps(learner: Any, steps: int, *, batch: Batch | None = None, rate: float = 3e-3) -> list[float]:
    """Take AdamW steps on the same samples, as the training loop does; returns the losses."""
    groups = learner.parameter_groups()
    parameters = [p for group in (groups.language, groups.vision, groups.new) for _, p in group]
    optimizer = torch.optim.AdamW(parameters, rate)
    losses = []
    learner.train()
    for _ in range(steps):
        seen = image_batch(learner, 16) if batch is None else batch
        loss = learner.loss(seen, torch.Generator().manual_seed(0))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    learner.eval()
    return losses
