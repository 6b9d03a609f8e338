"""Loads a pretrained language model of transformers as a decoder: any causal model, or a BERT turned causal.

**The vocabulary is trimmed**: the input embedding and the output head keep only the rows of pieces that
occur in the training captions, and the begin and end ids. The answers can name nothing else, and on a
CPU a softmax over 30,000 pieces would take longer than the blocks.

A BERT-like encoder is loaded with a causal mask; the head that its checkpoint lacks is new and trained
under every tuning policy. No remote code is run, and only safetensors are read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from baselines.language.source import LanguageSource
from baselines.language.vocabulary import PieceVocabulary, Vocabulary, occurring_pieces
from baselines.load_options import LoadOptions
from baselines.tuning.transformer import Transformer
from harness.errors import CheckpointError, UsageError
from harness.protocols import Derived

_DROPOUTS = ("hidden_dropout_prob", "resid_pdrop", "embd_pdrop", "dropout", "resid_dropout", "embed_dropout")
_ATTENTION_DROPOUTS = ("attention_probs_dropout_prob", "attn_pdrop", "attention_dropout")


@dataclass(frozen=True)
class LanguageWish:
    """How to load a language model: its first `layers` blocks (0: all), re-initialised for the control C2."""

    layers: int = 0
    dropout: float = 0.0
    reinitialised: bool = False
    load: LoadOptions = field(default_factory=LoadOptions)
    device: str = "cpu"


@dataclass(frozen=True)
class Language(Transformer):
    """A causal language model of transformers, and what fusion and tuning must know of it."""

    vocabulary: Vocabulary


def load_language(
    source: LanguageSource, captions: Sequence[str], wish: LanguageWish, derived: Derived | None = None
) -> Language:
    """Load a pretrained model and trim it to the pieces of the training captions, which `derived` may know already.

    Raises UsageError for a model that cannot decode, CheckpointError for weights that do not fit.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet():
        config = _decoder_configuration(source, wish)
        whole = load_transformer(AutoModelForCausalLM, source, config, wish)
        tokenizer = AutoTokenizer.from_pretrained(source.folder, local_files_only=True)
    kept = (derived or Derived()).get("pieces", lambda: occurring_pieces(tokenizer, captions))
    vocabulary = PieceVocabulary(tokenizer, kept)
    _check_pieces(vocabulary, whole.model, source)
    given = {id(parameter) for parameter in whole.pretrained}
    names = {name for name, parameter in whole.model.named_parameters() if id(parameter) in given}
    trim_vocabulary(whole.model, vocabulary.kept)
    pretrained = tuple(p for name, p in whole.model.named_parameters() if name in names)
    return replace(describe_language(source.name, whole.model, vocabulary, pretrained), dtype=whole.dtype)


def describe_language(name: str, model: Any, vocabulary: Vocabulary, pretrained: tuple[nn.Parameter, ...]) -> Language:
    """Find a causal language model's blocks and sizes."""
    return Language(**vars(_described(name, model, pretrained)), vocabulary=vocabulary)


def load_transformer(auto: Any, source: LanguageSource, config: Any, wish: LanguageWish) -> Transformer:
    """Load a model by one of transformers' Auto classes; re-initialised where that is wished (control C2).

    Its weights are in fp32 whatever the dtype: which of them are kept in that is known once it is tuned.
    """
    if wish.reinitialised and wish.load.quantise != "none":
        raise UsageError("The control C2 draws a language model's weights at random, which model.quantise cannot hold.")
    model, missing = _weights(auto, source, config, wish)
    if wish.reinitialised:
        _reinitialise(auto, model, config, missing)
    pretrained = tuple(p for name, p in model.named_parameters() if name not in missing)
    return replace(_described(source.name, model, pretrained), dtype=wish.load.dtype)


def _described(name: str, model: Any, pretrained: tuple[nn.Parameter, ...]) -> Transformer:
    config = model.config
    blocks = find_blocks(model, config.num_hidden_layers)
    return Transformer(name, model, pretrained, blocks, config.hidden_size, config.num_attention_heads)


def find_blocks(model: nn.Module, count: int) -> nn.ModuleList:
    """Find the list of transformer blocks: the first of `count` modules of one class."""
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count and len({type(m) for m in module}) == 1:
            return module
    raise UsageError(f"{type(model).__name__} has no list of {count} blocks of one kind. Take another --language.")


def trim_vocabulary(model: Any, kept: Sequence[int]) -> None:
    """Keep only these rows of the input embedding and the output head, in this order.

    The modules are changed in place, so that scaled embeddings and heads of any class stay what they
    are; weights that were tied stay tied.
    """
    rows = torch.tensor(kept)
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    trimmed: dict[int, nn.Parameter] = {}
    for parameter in (embedding.weight, head.weight, head.bias):
        if parameter is not None:
            chosen = parameter.detach().index_select(0, rows.to(parameter.device))
            trimmed.setdefault(id(parameter), nn.Parameter(chosen))
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in trimmed:
                setattr(module, name, trimmed[id(parameter)])
    embedding.num_embeddings, embedding.padding_idx = len(kept), None
    head.out_features = len(kept)
    model.config.vocab_size = len(kept)
    model.config.pad_token_id = None  # ids were renumbered, and nothing is padded on the left


def _decoder_configuration(source: LanguageSource, wish: LanguageWish) -> Any:
    from transformers import AutoConfig

    try:
        config: Any = AutoConfig.from_pretrained(source.folder, local_files_only=True)
    except (ValueError, KeyError, OSError) as error:
        raise UsageError(f"--language {source.name}: its config.json is not understood: {error}") from error
    native = any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in config.architectures or ())
    if getattr(config, "is_decoder", None) is False and not native:
        config.is_decoder = True
    return configure(config, source, wish)


def configure(config: Any, source: LanguageSource, wish: LanguageWish) -> Any:
    """Set how many blocks are kept and how much is dropped out."""
    if wish.layers:
        if not 1 <= wish.layers <= config.num_hidden_layers:
            raise UsageError(
                f"model.language_layers={wish.layers}: {source.name} has {config.num_hidden_layers} blocks."
            )
        config.num_hidden_layers = wish.layers
        if isinstance(getattr(config, "layer_types", None), list):
            config.layer_types = config.layer_types[: wish.layers]
    for name in _DROPOUTS:
        if isinstance(getattr(config, name, None), float | int):
            setattr(config, name, wish.dropout)
    for name in _ATTENTION_DROPOUTS:  # attention without dropout takes the fused path
        if isinstance(getattr(config, name, None), float | int):
            setattr(config, name, 0.0)
    return config


def _weights(auto: Any, source: LanguageSource, config: Any, wish: LanguageWish) -> tuple[Any, frozenset[str]]:
    """Load the model; also name the parameters that its checkpoint lacks, which must all be of the head."""
    arguments = {"attn_implementation": "sdpa", **wish.load.arguments(wish.device), "dtype": torch.float32}
    try:
        model, report = auto.from_pretrained(
            source.folder,
            config=config,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **arguments,
        )
    except ValueError as error:
        kind = type(config).__name__
        raise UsageError(f"--language {source.name}: {kind} cannot be loaded by {auto.__name__}: {error}") from error
    except (RuntimeError, OSError) as error:
        raise CheckpointError(f"--language {source.name}: its weights do not fit its config.json: {error}") from error
    missing = frozenset(report["missing_keys"])
    whole = model.base_model is model
    head = ("pooler.",) if whole else ()  # a pooler is a head too: mean pooling has no use for it
    lost = sorted(
        name
        for name in missing
        if (whole or name.startswith(f"{model.base_model_prefix}.")) and not name.startswith(head or ("\0",))
    )
    if lost:
        raise CheckpointError(
            f"--language {source.folder}: the checkpoint lacks {lost[0]} and {len(lost) - 1} more. "
            "Check that config.json and the weights are of the same model."
        )
    return model, missing


def _reinitialise(auto: Any, model: Any, config: Any, new: frozenset[str]) -> None:
    """Replace every pretrained weight by a random one, drawn as for training from scratch (control C2).

    The parts that are new anyway keep their values: C2 differs from the fused model in nothing else.
    """
    state = torch.random.get_rng_state()
    random = dict(auto.from_config(config).named_parameters())
    torch.random.set_rng_state(state)  # what is drawn after this must be the same as without it
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in new:
                parameter.copy_(random[name])


def _check_pieces(vocabulary: PieceVocabulary, model: Any, source: LanguageSource) -> None:
    rows = model.get_input_embeddings().weight.shape[0]
    if vocabulary.kept[-1] >= rows:
        raise CheckpointError(
            f"--language {source.name}: its tokenizer gives id {vocabulary.kept[-1]}, but it has {rows} embeddings. "
            "Check that tokenizer and weights are of the same model."
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the loading report and the progress bar: what it would tell is checked in `_weights`."""
    from transformers.utils import logging as transformers_logging

    level, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bar:
            transformers_logging.enable_progress_bar()
