"""Tells the trackers of `--track` from the track of a task, which is the older meaning of the word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from harness.errors import UsageError

TRACKERS = ("tensorboard", "mlflow", "wandb")
_MISSPELT = 0.75
"""How like a tracker's name a word must be, by difflib's ratio, to be taken for a slip of the hand."""


def split_track(values: Iterable[str]) -> tuple[str | None, tuple[str, ...]]:
    """Split what `--track` was given into the task's own track and the trackers, each named once.

    What is no tracker belongs to the task, which knows its tracks and refuses others. Raises UsageError for two tracks,
    for none at all and for a word that is nearly a tracker's name.

    >>> split_track(["context,wandb", "mlflow"])
    ('context', ('wandb', 'mlflow'))
    >>> split_track(["tensorboard"])
    (None, ('tensorboard',))
    """
    given = list(values)
    words = list(dict.fromkeys(word.strip() for value in given for word in value.split(",") if word.strip()))
    if given and not words:
        raise UsageError(f"--track is empty. Give a track of the task, or trackers: {', '.join(TRACKERS)}.")
    trackers = tuple(word for word in words if word in TRACKERS)
    tracks = [word for word in words if word not in TRACKERS]
    for word in tracks:
        meant = difflib.get_close_matches(word.lower(), TRACKERS, n=1, cutoff=_MISSPELT)
        if meant:
            raise UsageError(
                f"--track {word}: unknown. Did you mean '{meant[0]}'? A task's own track of that name is set with "
                f"--set task.track={word}."
            )
    if len(tracks) > 1:
        raise UsageError(
            f"--track names two tracks, {tracks[0]} and {tracks[1]}. A run has one; trackers are {', '.join(TRACKERS)}."
        )
    return (tracks[0] if tracks else None), trackers
