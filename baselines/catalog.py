"""The named models: each attribute is an entry point of the group `bench.models`. Cheap to import."""

from __future__ import annotations

from baselines.models.attributes import AttributeModel
from baselines.models.both import SharedModel
from baselines.models.discriminative import LABEL_KINDS, DiscriminativeModel
from baselines.models.generative import GenerativeModel
from baselines.models.retrieval import RetrievalModel

retrieval = RetrievalModel("retrieval", "caption of the nearest training image")
retrieval_consensus = RetrievalModel(
    "retrieval-consensus", "caption that the nearest training images agree on (Devlin 2015)", neighbours=30
)
probe = DiscriminativeModel("probe", "frozen backbone + linear layer (un-fused)", neck="probe")
vision_only = DiscriminativeModel("vision-only", "frozen backbone + trained head (un-fused control C0)")
fine_tuned = DiscriminativeModel("fine-tuned", "backbone fine-tuned with the same head (un-fused)", vision_tune="full")
class_embedding = DiscriminativeModel(
    "class-embedding", "classes scored by their projected texts (DeViSE 2013, ViLD 2022, LSeg 2022)", by_text=True
)
film = DiscriminativeModel("film", "text scales and shifts visual channels (FiLM 2018)", fusion="film")
gated = DiscriminativeModel("gated", "gate between image and text at each channel (GMU 2017)", fusion="gated")
bilinear = DiscriminativeModel(
    "bilinear", "low-rank products of image and text (MLB 2017)", fusion="bilinear", answers=LABEL_KINDS
)
text_only = GenerativeModel("text-only", "pretrained language model without the image (control C5)", "pretrained")
cnn_lstm = GenerativeModel("cnn-lstm", "CNN + LSTM from scratch (Show and Tell, Vinyals 2015)", "lstm")
cnn_transformer = GenerativeModel(
    "cnn-transformer",
    "CNN + transformer decoder from scratch (un-fused control C0)",
    "scratch",
    "cross-attention",
)
cross_attention = SharedModel(
    GenerativeModel("cross-attention", "pretrained language model + cross-attention", "pretrained", "cross-attention"),
    DiscriminativeModel(
        "cross-attention", "every place reads the text (ViLBERT 2019)", fusion="cross-attention", by_text=True
    ),
)
prefix = GenerativeModel("prefix", "image mapped to a prefix of embeddings (ClipCap 2021)", "pretrained", "prefix")
concat = SharedModel(
    GenerativeModel("concat", "every visual token before the caption (LLaVA 2023)", "pretrained", "concat"),
    DiscriminativeModel("concat", "text beside each token", fusion="concat"),
)
gated_cross_attention = SharedModel(
    GenerativeModel(
        "gated-cross-attention",
        "cross-attention behind gates that start at 0 (Flamingo 2022)",
        "pretrained",
        "gated-cross-attention",
    ),
    DiscriminativeModel(
        "gated-cross-attention", "every place reads the text", fusion="gated-cross-attention", by_text=True
    ),
)
q_former = SharedModel(
    GenerativeModel("q-former", "learned queries read the image (BLIP-2 2023)", "pretrained", "q-former"),
    DiscriminativeModel(
        "q-former",
        "queries that know the text (InstructBLIP 2023)",
        fusion="q-former",
        by_text=True,
        answers=LABEL_KINDS,
    ),
)
cross_attention_frozen = GenerativeModel(
    "cross-attention-frozen",
    "cross-attention, language model frozen",
    "pretrained",
    "cross-attention",
    "frozen",
)
cross_attention_lora = GenerativeModel(
    "cross-attention-lora",
    "cross-attention, LoRA on queries and values",
    "pretrained",
    "cross-attention",
    "lora",
)
cross_attention_adapter = GenerativeModel(
    "cross-attention-adapter",
    "cross-attention, an adapter after each block",
    "pretrained",
    "cross-attention",
    "adapter",
)
cross_attention_bitfit = GenerativeModel(
    "cross-attention-bitfit",
    "cross-attention, only biases tuned (BitFit)",
    "pretrained",
    "cross-attention",
    "bitfit",
)
attribute_classifier = AttributeModel(
    "attribute-classifier", "attributes of Scenes; gives the default backbone its weights"
)
