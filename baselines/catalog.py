"""The named models: each attribute is an entry point of the group `bench.models`. Cheap to import."""

from __future__ import annotations

from baselines.attribute_model import AttributeModel
from baselines.captioning_model import CaptioningModel
from baselines.retrieval_model import RetrievalModel

retrieval = RetrievalModel("retrieval", "caption of the nearest training image")
retrieval_consensus = RetrievalModel(
    "retrieval-consensus", "caption that the nearest training images agree on (Devlin 2015)", neighbours=30
)
text_only = CaptioningModel("text-only", "pretrained language model without the image (control C5)", "pretrained")
cnn_lstm = CaptioningModel("cnn-lstm", "CNN + LSTM from scratch (Show and Tell, Vinyals 2015)", "lstm")
cnn_transformer = CaptioningModel(
    "cnn-transformer",
    "CNN + transformer decoder from scratch (un-fused control C0)",
    "scratch",
    "cross-attention",
)
cross_attention = CaptioningModel(
    "cross-attention", "pretrained language model + cross-attention", "pretrained", "cross-attention"
)
prefix = CaptioningModel("prefix", "image mapped to a prefix of embeddings (ClipCap 2021)", "pretrained", "prefix")
concat = CaptioningModel("concat", "every visual token before the caption (LLaVA 2023)", "pretrained", "concat")
gated_cross_attention = CaptioningModel(
    "gated-cross-attention",
    "cross-attention behind gates that start at 0 (Flamingo 2022)",
    "pretrained",
    "gated-cross-attention",
)
q_former = CaptioningModel("q-former", "learned queries read the image (BLIP-2 2023)", "pretrained", "q-former")
cross_attention_frozen = CaptioningModel(
    "cross-attention-frozen",
    "cross-attention, language model frozen",
    "pretrained",
    "cross-attention",
    "frozen",
)
cross_attention_lora = CaptioningModel(
    "cross-attention-lora",
    "cross-attention, LoRA on queries and values",
    "pretrained",
    "cross-attention",
    "lora",
)
cross_attention_adapter = CaptioningModel(
    "cross-attention-adapter",
    "cross-attention, an adapter after each block",
    "pretrained",
    "cross-attention",
    "adapter",
)
cross_attention_bitfit = CaptioningModel(
    "cross-attention-bitfit",
    "cross-attention, only biases tuned (BitFit)",
    "pretrained",
    "cross-attention",
    "bitfit",
)
attribute_classifier = AttributeModel(
    "attribute-classifier", "attributes of Scenes; gives the default backbone its weights"
)
