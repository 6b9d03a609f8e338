"""Tokenizers for tiny models: of bytes, which can say any text, and of whole words, which know a few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def byte_tokenizer(pad: str, begin: str, end: str, *marks: str, **extra: Any) -> Any:
    """Tokens 0..255 are bytes, 256 to 258 pad, begin and end, then the other `marks`; texts have neither end."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: index for index, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(mark, special=True) for mark in (pad, begin, end, *marks)])
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token=pad, bos_token=begin, eos_token=end, **extra)


def word_tokenizer(
    marks: Sequence[str], words: Sequence[str], begin: str | None = None, end: str | None = None, **extra: Any
) -> Any:
    """Tokens are `marks`, of which the first pads, then `words`; what is neither is `[UNK]` or `<unk>` among the marks.

    Texts begin and end with `begin` and `end`, where these are said, as BERT's and CLIP's do.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    places = {word: index for index, word in enumerate([*marks, *words])}
    unknown = next(mark for mark in marks if mark.strip("[]<>").lower() == "unk")
    inner = Tokenizer(models.WordLevel(places, unk_token=unknown))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    around = [mark for mark in (begin, end) if mark is not None]
    form = " ".join([*([begin] if begin else []), "$A", *([end] if end else [])])
    if around:
        inner.post_processor = processors.TemplateProcessing(
            single=form, pair=form.replace("$A", "$A $B"), special_tokens=[(mark, places[mark]) for mark in around]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token=marks[0], unk_token=unknown, bos_token=begin, eos_token=end, **extra
    )
