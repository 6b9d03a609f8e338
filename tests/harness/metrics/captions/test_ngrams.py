from __future__ import annotations

from harness.metrics.captions.ngrams import NgramCounts, pack_captions


def rows(counts: NgramCounts) -> list[tuple[int, int]]:
    """(caption, count) pairs."""
    return list(zip(counts.caption.tolist(), counts.count.tolist(), strict=True))


def test_counts_ngrams_of_all_orders() -> None:
    packed = pack_captions(["a b a b"], [["a b", "c"]])
    # a, b twice; ab twice, ba once; aba, bab; abab
    assert sorted(count for _, count in rows(packed.candidates)) == [1, 1, 1, 1, 2, 2, 2]
    assert rows(packed.references) == [(0, 1), (0, 1), (0, 1), (1, 1)]
    assert packed.candidate_length.tolist() == [4]
    assert packed.reference_length.tolist() == [2, 1]
    assert packed.reference_image.tolist() == [0, 0]
    assert sorted(packed.order.tolist()) == [1, 1, 1, 2, 2, 3, 3, 4]


def test_matches_join_only_captions_of_one_image() -> None:
    packed = pack_captions(["a", "b"], [["b"], ["b", "b b"]])
    matches = packed.matches()
    assert packed.references.caption[matches.reference_row].tolist() == [1, 2]
    assert packed.candidates.caption[matches.candidate_row].tolist() == [1, 1]
    assert packed.references.count[matches.reference_row].tolist() == [1, 2]


def test_captions_without_words() -> None:
    packed = pack_captions(["", " "], [[""], ["\t"]])
    assert len(packed.order) == len(packed.matches().reference_row) == 0
    assert packed.candidate_length.tolist() == [0, 0]


def test_other_references_are_documents_without_candidates() -> None:
    packed = pack_captions(["a"], [["a"]], [["a", "b"], ["c"]])
    assert (packed.image_count, packed.document_count) == (1, 3)
    assert packed.reference_image.tolist() == [0, 1, 1, 2]
    assert len(packed.matches().reference_row) == 1
