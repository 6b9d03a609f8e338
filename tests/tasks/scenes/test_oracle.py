"""The ceilings, checked by hand and against a guesser that knows the recipe."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from tasks.scenes.factors import BASE_KINDS, KINDS, night_twin
from tasks.scenes.oracle import ceilings, context_cells, target_pool, zero_shot_ceiling
from tasks.scenes.remarks import CUES
from tasks.scenes.splits import SPLITS
from tests.tasks.scenes.conftest import SMALL, read

HALF = Fraction(1, 2)


def test_twins_have_a_ceiling_of_one_half(small_root: Path) -> None:
    rows = read(small_root, "scenes", "twins")["images"]
    assert ceilings("twins", rows)["plain"].vision == HALF
    cells = context_cells("twins", rows)
    assert {light for light, _ in cells} == {"night"}
    assert [cells["night", c].both for c in ("honest", "misleading", "absent", "irrelevant")] == [1, 0, HALF, HALF]
    # 70 % honest remarks are believed, 10 % mislead, 20 % leave the toss
    assert ceilings("twins", rows)["context"].both == Fraction(8, 10)


def test_by_day_the_image_tells_all(small_root: Path) -> None:
    for split in ("ground-swap", "light", "novel", "prior-conflict"):
        found = ceilings(split, read(small_root, "scenes", split)["images"])
        assert found["plain"].vision == found["context"].both == 1
        assert found["plain"].text == Fraction(1, len(target_pool(split)))


def test_clear_and_night_make_up_the_whole(small_root: Path) -> None:
    rows = [row for row in read(small_root, "scenes", "test")["images"] if row["target"]]
    night = sum(row["light"] == "night" for row in rows)
    assert ceilings("test", rows)["plain"].vision == 1 - Fraction(night, len(rows)) / 2


def test_reference_foils_and_zero_shot(small_root: Path) -> None:
    refer = ceilings("refer", read(small_root, "scenes", "refer")["images"])["reference"]
    assert Fraction(1, 4) <= refer.vision <= Fraction(1, 3) and refer.both == 1 and refer.text == Fraction(1, 10)
    foils = ceilings("foils", read(small_root, "scenes", "foils")["images"])["foils"]
    assert (foils.vision, foils.text, foils.both, foils.images) == (HALF, HALF, 1, 4 * SMALL)
    assert zero_shot_ceiling("opaque").both == Fraction(1, 8)
    assert zero_shot_ceiling("definition").both == 1


def test_a_guesser_that_follows_remarks_reaches_the_ceiling(small_root: Path) -> None:
    """At night: take the silhouette, believe the remark, else toss (here: count half)."""
    rows = read(small_root, "scenes", "twins")["images"]
    by_name = {kind.name: kind for kind in KINDS}
    pattern_of = {cue: pattern for pattern, cues in CUES.items() for cue in cues}
    for condition, expected in (("honest", 1.0), ("misleading", 0.0), ("absent", 0.5), ("irrelevant", 0.5)):
        score = 0.0
        for row in rows:
            kind = by_name[row["target"]["kind"]]
            told = [pattern_of[w] for w in row["remarks"][condition].strip(".").split() if w in pattern_of]
            options = [option for option in (kind, night_twin(kind)) if not told or option.pattern == told[0]]
            score += (kind in options) / len(options)
        assert score / len(rows) == expected


def test_every_split_has_ceilings_within_bounds(small_root: Path) -> None:
    assert len(BASE_KINDS) == 24
    for split in SPLITS:
        for ceiling in ceilings(split, read(small_root, "scenes", split)["images"]).values():
            assert 0 < ceiling.text <= ceiling.both <= 1 and 0 < ceiling.vision <= ceiling.both
