"""The named models: each attribute is an entry point of the group `bench.models`. Cheap to import."""

from __future__ import annotations

from baselines.answering_model import LABEL_TASKS, AnsweringModel
from baselines.attribute_model import AttributeModel
from baselines.captioning_model import CaptioningModel
from baselines.retrieval_model import RetrievalModel
from baselines.shared_model import SharedModel

retrieval = RetrievalModel("retrieval", "caption of the nearest training image")
retrieval_consensus = RetrievalModel(
    "retrieval-consensus", "caption that the nearest training images agree on (Devlin 2015)", neighbours=30
)
probe = AnsweringModel("probe", "frozen backbone + linear layer (un-fused)", trunk="probe")
vision_only = AnsweringModel("vision-only", "frozen backbone + trained head (un-fused control C0)")
fine_tuned = AnsweringModel("fine-tuned", "backbone fine-tuned with the same head (un-fused)", vision_tune="full")
class_embedding = AnsweringModel(
    "class-embedding", "classes scored by their projected texts (DeViSE 2013, ViLD 2022, LSeg 2022)", by_text=True
)
film = AnsweringModel("film", "text scales and shifts visual channels (FiLM 2018)", join="film")
gated = AnsweringModel("gated", "gate between image and text at each channel (GMU 2017)", join="gated")
bilinear = AnsweringModel(
    "bilinear", "low-rank products of image and text (MLB 2017)", join="bilinear", tasks=LABEL_TASKS
)
text_only = CaptioningModel("text-only", "pretrained language model without the image (control C5)", "pretrained")
cnn_lstm = CaptioningModel("cnn-lstm", "CNN + LSTM from scratch (Show and Tell, Vinyals 2015)", "lstm")
cnn_transformer = CaptioningModel(
    "cnn-transformer",
    "CNN + transformer decoder from scratch (un-fused control C0)",
    "scratch",
    "cross-attention",
)
cross_attention = SharedModel(
    CaptioningModel("cross-attention", "pretrained language model + cross-attention", "pretrained", "cross-attention"),
    AnsweringModel(
        "cross-attention", "every place reads the text (ViLBERT 2019)", join="cross-attention", by_text=True
    ),
)
prefix = CaptioningModel("prefix", "image mapped to a prefix of embeddings (ClipCap 2021)", "pretrained", "prefix")
concat = SharedModel(
    CaptioningModel("concat", "every visual token before the caption (LLaVA 2023)", "pretrained", "concat"),
    AnsweringModel("concat", "text beside each token", join="concat"),
)
gated_cross_attention = SharedModel(
    CaptioningModel(
        "gated-cross-attention",
        "cross-attention behind gates that start at 0 (Flamingo 2022)",
        "pretrained",
        "gated-cross-attention",
    ),
    AnsweringModel("gated-cross-attention", "every place reads the text", join="gated-cross-attention", by_text=True),
)
q_former = SharedModel(
    CaptioningModel("q-former", "learned queries read the image (BLIP-2 2023)", "pretrained", "q-former"),
    AnsweringModel(
        "q-former", "queries that know the text (InstructBLIP 2023)", join="q-former", by_text=True, tasks=LABEL_TASKS
    ),
)
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
