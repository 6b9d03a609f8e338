"""Tiny language models, a backbone and captions, all made on the spot."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from baselines import catalog
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.protocols import BuildContext
from harness.sample import Batch, TaskSpec
from tests.tiny_bert import write_tiny_bert

COLOURS = ("red", "green", "blue", "yellow")
SHAPES = ("circle", "square", "star", "cross")


@dataclass(frozen=True)
class Captions:
    """Stands for the captioning task's own target."""

    references: tuple[str, ...]


def _captions() -> tuple[Captions, ...]:
    draw = random.Random(0)
    targets = []
    for _ in range(64):
        colour, shape, other = draw.choice(COLOURS), draw.choice(SHAPES), draw.choice(SHAPES)
        targets.append(
            Captions((f"A {colour} {shape}.", f"there is a {colour} {shape}, left of a {other} on the grass"))
        )
    return tuple(targets)


TARGETS = _captions()
SPEC = TaskSpec("coco-caption", TARGETS)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def prerequisite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default backbone as its prerequisite leaves it, with random weights."""
    folder = tmp_path_factory.mktemp("phi0")
    spec = TaskSpec("scene-attributes", ([0, 1, 1],))
    learner: Any = catalog.attribute_classifier.build(spec, context_of(ModelOptions()))
    save_file(
        {name: value.contiguous() for name, value in learner.state_dict().items()},
        folder / "checkpoint.safetensors",
    )
    return folder


def context_of(
    options: ModelOptions, *, prerequisite: Path | None = None, beams: int = 1, seed: int = 0
) -> BuildContext:
    """A context without dropout, so that losses can be compared."""
    decode = DecodeOptions(max_tokens=20, beams=beams)
    return BuildContext(options, TrainOptions(dropout=0.0), decode, seed, Path("unused"), prerequisite)


@pytest.fixture(scope="session")
def languages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a tiny BERT (encoder only), GPT-2 and LLaMA with tokenizers, by name."""
    root = tmp_path_factory.mktemp("languages")
    torch.manual_seed(0)
    bert = write_tiny_bert(root / "bert", _texts() * 3, blocks=3, pieces=120)
    return {"bert": bert, "gpt2": _gpt2(root / "gpt2"), "llama": _llama(root / "llama")}


def _texts() -> list[str]:
    return ["a two-horned circle isn't here", *(text.lower() for target in TARGETS for text in target.references)]


def _gpt2(folder: Path) -> Path:
    from transformers import GPT2Config, GPT2LMHeadModel

    size = _byte_level(folder, "<|endoftext|>", "<|endoftext|>")
    GPT2LMHeadModel(
        GPT2Config(vocab_size=size, n_embd=32, n_layer=3, n_head=4, bos_token_id=0, eos_token_id=0)
    ).save_pretrained(folder)
    return folder


def _llama(folder: Path) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    size = _byte_level(folder, "<s>", "</s>")
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=False,
        )
    ).save_pretrained(folder)
    return folder


def _byte_level(folder: Path, begin: str, end: str) -> int:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=list(dict.fromkeys((begin, end))), initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=begin, eos_token=end)
    fast.save_pretrained(folder)
    return len(fast)


@pytest.fixture(scope="session")
def build(prerequisite: Path, languages: dict[str, Path]) -> Callable[..., Any]:
    """Build a model of the catalogue on tiny parts: `build(model, language="bert", tune=None, ...)`."""

    def build(model: Any, language: str = "bert", *, beams: int = 1, seed: int = 0, **wishes: Any) -> Any:
        settings = {
            "layers": 2,
            "width": 16,
            "heads": 2,
            "bottleneck": 8,
            "rank": 2,
            "prefix_length": 3,
            "queries": 4,
        }
        options = ModelOptions(
            language=str(languages[language]),
            tune=wishes.pop("tune", None),
            settings={**settings, **wishes},
        )
        return model.build(SPEC, context_of(options, prerequisite=prerequisite, beams=beams, seed=seed))

    return build


def random_batch(learner: Any, count: int, *, with_targets: bool = True) -> Batch:
    """Visual tokens at random, the same for the same rows whatever the count."""
    visual = None
    if learner.vision is not None:
        generator = torch.Generator().manual_seed(1)
        visual = torch.randn(64, learner.vision.tokens, learner.vision.width, generator=generator)[:count]
    return Batch(
        sample_ids=tuple(str(index) for index in range(count)),
        visual=visual,
        texts=(None,) * count,
        targets=TARGETS[:count] if with_targets else None,
    )


def rows_of(batch: Batch, rows: slice) -> Batch:
    """Cut rows out of a batch, without targets."""
    visual = None if batch.visual is None else batch.visual[rows]
    return Batch(batch.sample_ids[rows], visual, batch.texts[rows])


def train_steps(learner: Any, steps: int, *, count: int = 8, rate: float = 3e-3) -> list[float]:
    """Take AdamW steps on the same samples; returns the losses."""
    groups = learner.parameter_groups()
    parameters = [p for group in (groups.language, groups.vision, groups.new) for _, p in group]
    optimizer = torch.optim.AdamW(parameters, rate)
    batch, losses = random_batch(learner, count), []
    learner.train()
    for _ in range(steps):
        loss = learner.loss(batch, torch.Generator().manual_seed(0))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    learner.eval()
    return losses


def trained_state(learner: Any) -> dict[str, torch.Tensor]:
    """What a checkpoint holds: all that is trained, and buffers."""
    frozen = {name for name, parameter in learner.named_parameters() if not parameter.requires_grad}
    return {name: tensor.clone() for name, tensor in learner.state_dict().items() if name not in frozen}
