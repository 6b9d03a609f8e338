"""Names of trackers, and the older `--track`, which meant both a tracker and the track of a task."""

from __future__ import annotations

import difflib
from dataclasses import replace

from harness.errors import UsageError, nearest
from harness.plan.names import words
from harness.plan.run_request import RunRequest

TRACKERS = ("tensorboard", "mlflow", "wandb")
_MISSPELT = 0.75
"""How like a tracker's name a word must be, by difflib's ratio, to be taken for a slip of the hand."""


def tracker_names(given: str | None) -> tuple[str, ...]:
    """Split the value of `--log` into trackers, each named once; raises UsageError for others and for none.

    >>> tracker_names("wandb, mlflow,wandb")
    ('wandb', 'mlflow')
    """
    if given is None:
        return ()
    named = _unique(given)
    if not named:
        raise UsageError(f"--log is empty. Give trackers: {', '.join(TRACKERS)}.")
    for word in named:
        if word not in TRACKERS:
            raise UsageError(f"--log {word}: unknown tracker. {nearest(word, TRACKERS)}")
    return tuple(named)


def renamed(request: RunRequest) -> tuple[RunRequest, tuple[str, ...]]:
    """Put what `--track` was given where it is now said, with a notice of the new names.

    What is no tracker belongs to the task, which knows its tracks and refuses others. Raises UsageError for two tracks,
    for none at all, for a word that is nearly a tracker's name, and for what the new options say otherwise.

    >>> changed, notices = renamed(RunRequest(track="context,wandb"))
    >>> changed.scenes_track, changed.log
    ('context', 'wandb')
    >>> notices[0]
    '--track context,wandb is now --scenes-track context --log wandb; the old name will go.'
    """
    if request.track is None:
        return request, ()
    named = _unique(request.track)
    if not named:
        raise UsageError(f"--track is empty. Give --log {', '.join(TRACKERS)}, or --scenes-track of the task.")
    trackers = ",".join(word for word in named if word in TRACKERS) or None
    track = _track([word for word in named if word not in TRACKERS])
    for flag, new, old in (("--log", request.log, trackers), ("--scenes-track", request.scenes_track, track)):
        if new is not None and old is not None:
            raise UsageError(f"--track {old} and {flag} {new} say the same thing twice. Leave --track out.")
    said = [f"--scenes-track {track}" if track else "", f"--log {trackers}" if trackers else ""]
    notice = f"--track {','.join(named)} is now {' '.join(filter(None, said))}; the old name will go."
    changed = replace(request, track=None, log=request.log or trackers, scenes_track=request.scenes_track or track)
    return changed, (notice,)


def _unique(text: str) -> list[str]:
    return list(dict.fromkeys(words(text)))


def _track(named: list[str]) -> str | None:
    """Take the one track among named that are no trackers."""
    for word in named:
        meant = difflib.get_close_matches(word.lower(), TRACKERS, n=1, cutoff=_MISSPELT)
        if meant:
            raise UsageError(
                f"--track {word}: unknown. Did you mean '{meant[0]}'? A task's own track of that name is set with "
                f"--scenes-track {word}."
            )
    if len(named) > 1:
        raise UsageError(
            f"--track names two tracks, {named[0]} and {named[1]}. A run has one; trackers are {', '.join(TRACKERS)}."
        )
    return named[0] if named else None
