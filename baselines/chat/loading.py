"""Loads a chat model: its network, its processor and its template, checked before anything is asked."""

from __future__ import annotations

from baselines.chat.conversation import open_template
from baselines.chat.learner import ChatLearner
from baselines.chat.settings import read_chat_settings
from baselines.pretrained.transformers_loading import Loading, load_network, load_processor
from baselines.prompts.prompt import Prompt
from harness.answers import LABELS, form_of
from harness.errors import UsageError


def load_chat(found: Loading, prompt: Prompt, *, sees: bool) -> ChatLearner:
    """Load a checkpoint folder for a task; raises CheckpointError or UsageError."""
    classes = found.spec.classes
    if form_of(found.spec.answers) == LABELS and classes.multilabel:
        raise UsageError(
            "A chat model names one class an image, but the images of this data have several (multi-label). Take data "
            "with one label an image, or a model that is trained here."
        )
    template = open_template(load_processor(found.folder), found.folder, sees=sees)
    settings = read_chat_settings(found.context.options.settings)
    return ChatLearner(load_network(found), template, prompt, found.spec, settings, found.context.decode)
