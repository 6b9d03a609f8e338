"""A transformer decoder with random weights: GPT-2's architecture (Radford et al. 2019), words as vocabulary.

The un-fused control C0 is this decoder with cross-attention, in the very place of a pretrained language
model; C1 is the same, with the width that makes it as large as the fused model that it is compared to.
"""

from __future__ import annotations

from dataclasses import dataclass

from baselines.language.pretrained import Language, describe_language
from baselines.language.vocabulary import WordVocabulary
from baselines.settings import Settings

_POSITIONS = 256


@dataclass(frozen=True)
class ScratchSize:
    """The sizes of a decoder trained from scratch."""

    layers: int
    width: int
    ffn: int
    heads: int


def size_of(settings: Settings) -> ScratchSize:
    """Read the sizes from the settings."""
    return ScratchSize(settings.layers, settings.width, settings.ffn or 4 * settings.width, settings.heads)


def build_scratch_language(vocabulary: WordVocabulary, size: ScratchSize, dropout: float) -> Language:
    """Build the decoder; all its weights are new."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocabulary.size,
        n_positions=_POSITIONS,
        n_embd=size.width,
        n_layer=size.layers,
        n_head=size.heads,
        n_inner=size.ffn,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=0.0,  # attention without dropout takes the fused path
        bos_token_id=vocabulary.begin,
        eos_token_id=vocabulary.end,
        attn_implementation="sdpa",  # type: ignore[call-arg]  # an argument of every configuration
    )
    return describe_language("from scratch", GPT2LMHeadModel(config), vocabulary, ())
