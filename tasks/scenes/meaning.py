"""Logical forms: what a caption says, apart from how it says it; and whether that is true of a scene.

A logical form is plain JSON: `plan`, then those of `objects` (a list of descriptions: factor -> value),
`relation`, `count`, `ground`, `ground_colour` and `sky` that are said. An object description claims that such
an object is there; two of them claim two objects; `count` claims exactly that many of its description.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any, Final

PLANS: Final = ("object-ground", "relation", "count", "sky", "object")
"""The five content plans of a caption."""

Description = Mapping[str, str]
LogicalForm = Mapping[str, Any]
Facts = Mapping[str, Any]
"""What is true of a scene: `objects`, `relations` [[name, i, j]], `ground`, `ground_colour`, `sky`."""


def fits(description: Description, item: Mapping[str, str]) -> bool:
    """Whether an object of the facts has every value that a description names."""
    return all(item[factor] == value for factor, value in description.items())


def is_true(form: LogicalForm, facts: Facts) -> bool:
    """Whether a logical form holds of a scene: distinct objects fit its descriptions, and the rest is so."""
    if any(form[key] != facts[key] for key in ("ground", "ground_colour", "sky") if key in form):
        return False
    objects = facts["objects"]
    said = form.get("objects", [])
    if "count" in form:
        return bool(form["count"] == sum(fits(said[0], item) for item in objects))
    related = {tuple(row) for row in facts["relations"]}
    for chosen in permutations(range(len(objects)), len(said)):
        fitting = all(fits(said[k], objects[i]) for k, i in enumerate(chosen))
        if fitting and ("relation" not in form or (form["relation"], *chosen) in related):
            return True
    return False


def canonical(form: LogicalForm) -> dict[str, Any]:
    """A logical form with its keys in one fixed order, so that equal meanings are equal JSON."""
    keys = ("plan", "objects", "relation", "count", "ground", "ground_colour", "sky")
    result = {key: form[key] for key in keys if key in form}
    if "objects" in result:
        result["objects"] = [dict(sorted(description.items())) for description in result["objects"]]
    return result
