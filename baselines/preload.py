"""What captioning jobs import, gathered for the fork server (group `bench.preload`): once a run instead of once a job.

Without it each job imports some 1,200 modules, which costs it seconds.
"""

from __future__ import annotations

import accelerate
import peft
import timm
import tokenizers
from transformers.generation import utils as generation
from transformers.models.auto import modeling_auto, tokenization_auto
from transformers.models.bert import modeling_bert, tokenization_bert
from transformers.models.gpt2 import modeling_gpt2

from baselines.heads import language_decoder, lstm_decoder
from baselines.learners import attributes as attribute_classifier
from baselines.learners import build_generative as assembly
from baselines.learners import generative as captioner
from baselines.learners import retrieval

__all__ = [
    "accelerate",
    "assembly",
    "attribute_classifier",
    "captioner",
    "generation",
    "language_decoder",
    "lstm_decoder",
    "modeling_auto",
    "modeling_bert",
    "modeling_gpt2",
    "peft",
    "retrieval",
    "timm",
    "tokenization_auto",
    "tokenization_bert",
    "tokenizers",
]
