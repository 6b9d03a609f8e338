"""The named models: each attribute is an entry point of the group `bench.models`. Cheap to import.

A fusion operator (`bench.fusion`) needs no line here: `fuse:NAME` is its model.
"""

from __future__ import annotations

from baselines.models.answer_prior import AnswerPriorModel
from baselines.models.attributes import AttributeModel
from baselines.models.discriminative import DiscriminativeModel
from baselines.models.fusion import FusionFamily, FusionModel
from baselines.models.generative import GenerativeModel
from baselines.models.retrieval import RetrievalModel
from harness.answers import BOXES, CAPTIONS, CHOICES, LABELS, MAPS, SHORT_ANSWERS, UNSEEN_LABELS

retrieval = RetrievalModel("retrieval", "caption of the nearest training image")
retrieval_consensus = RetrievalModel(
    "retrieval-consensus", "caption that the nearest training images agree on (Devlin 2015)", neighbours=30
)
answer_prior = AnswerPriorModel("answer-prior", "commonest training answer to questions that begin alike (no image)")
probe = DiscriminativeModel("probe", "frozen backbone + linear layer (un-fused)", neck="probe")
vision_only = DiscriminativeModel("vision-only", "frozen backbone + trained head (un-fused control C0)")
fine_tuned = DiscriminativeModel("fine-tuned", "backbone fine-tuned with the same head (un-fused)", vision_tune="full")
class_embedding = DiscriminativeModel(
    "class-embedding",
    "classes scored by their projected texts (DeViSE 2013, ViLD 2022, LSeg 2022)",
    by_text=True,
    only=(LABELS, UNSEEN_LABELS, BOXES, MAPS),  # it would read no question
)
film = FusionModel("film", "film")
gated = FusionModel("gated", "gated")
bilinear = FusionModel("bilinear", "bilinear", only=(LABELS, UNSEEN_LABELS, SHORT_ANSWERS))
cross_attention = FusionModel("cross-attention", "cross-attention")
late_transformer = FusionModel("late-transformer", "late-transformer", only=(LABELS, UNSEEN_LABELS, SHORT_ANSWERS))
prefix = FusionModel("prefix", "prefix", writes=(CAPTIONS, CHOICES))
concat = FusionModel("concat", "concat")
gated_cross_attention = FusionModel("gated-cross-attention", "gated-cross-attention")
q_former = FusionModel("q-former", "q-former")
fuse = FusionFamily()
text_only = GenerativeModel(
    "text-only",
    "pretrained language model without the image (control C5)",
    "pretrained",
    answers=(CAPTIONS, CHOICES),
)
cnn_lstm = GenerativeModel("cnn-lstm", "CNN + LSTM from scratch (Show and Tell, Vinyals 2015)", "lstm")
cnn_transformer = GenerativeModel(
    "cnn-transformer",
    "CNN + transformer decoder from scratch (un-fused control C0)",
    "scratch",
    "cross-attention",
    answers=(CAPTIONS, CHOICES),
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
