"""Track X: a remark beside the image that tells the target's pattern by where it is said to come from.

Which place goes with which pattern must be learned from the training pairs: no remark names a kind, a shape,
a pattern or a part. By day the pixels say as much; at night only the remark can tell two twins apart.
"""

from __future__ import annotations

from typing import Final

from tasks.scenes.counter_rng import Stream
from tasks.scenes.factors import Kind, night_twin

CONDITION_SHARES: Final = (("honest", 70), ("misleading", 10), ("absent", 10), ("irrelevant", 10))
"""Per cent of the images under each condition: without the last two in training, a model without a remark at
test time would fail by mere shift."""
CUES: Final = {
    "solid": ("harbour", "quarry", "orchard"),
    "striped": ("market", "tower", "village"),
    "dotted": ("bakery", "station", "chapel"),
    "checkered": ("museum", "stable", "garden"),
    "ringed": ("theatre", "factory", "library"),
}
_TELLING: Final = {
    "training": (
        "The keeper says the biggest one came from the {cue}.",
        "The biggest one was brought here from the {cue}.",
        "Someone at the {cue} made the biggest one.",
        "They say the {cue} sent the biggest one.",
    ),
    "held-out": (
        "We hear that the biggest one belongs to the {cue}.",
        "At the {cue} they miss the biggest one.",
    ),
}
_IRRELEVANT_PLACES: Final = ("bridge", "river", "school", "kitchen", "island", "airport")
_IRRELEVANT: Final = {
    "training": (
        "The keeper went to the {place} this morning.",
        "It was quiet at the {place} all day.",
        "Someone is singing near the {place}.",
        "They say the {place} opens tomorrow.",
    ),
    "held-out": ("We hear that the {place} is closed.", "At the {place} they wait for the post."),
}


def remarks_about(target: Kind, draw: Stream, templates: str) -> dict[str, str]:
    """One remark for each condition; `templates` is training or held-out.

    The misleading one says of the target what is true of its night twin, so it contradicts only the pattern.
    """

    def telling(kind: Kind) -> str:
        return draw.choice(_TELLING[templates]).format(cue=draw.choice(CUES[kind.pattern]))

    return {
        "honest": telling(target),
        "misleading": telling(night_twin(target)),
        "absent": "",
        "irrelevant": draw.choice(_IRRELEVANT[templates]).format(place=draw.choice(_IRRELEVANT_PLACES)),
    }


def draw_condition(draw: Stream) -> str:
    """The condition under which an image is shown when a split is used as it is."""
    return draw.weighted(CONDITION_SHARES)
