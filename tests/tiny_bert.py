"""A narrow BERT with random weights and word pieces of a few texts, in the place of MiniLM where size is all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tasks.scenes import cache_root, layout


def write_tiny_bert(folder: Path, texts: Sequence[str], blocks: int = 2, pieces: int = 200) -> Path:
    """Write it as transformers reads it, with a tokenizer of `pieces` word pieces; returns the folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=pieces, special_tokens=special))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(fast), hidden_size=32, num_hidden_layers=blocks, num_attention_heads=4, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder)
    return folder


def scene_captions(cache: Path) -> list[str]:
    """The training captions of the Scenes that lies in a cache."""
    content = json.loads(layout.annotation_file(cache_root(cache), "captions", "train").read_text(encoding="utf-8"))
    return [row["caption"] for row in content["annotations"]]
