"""Label maps of models are indices: what would be cast to some class is refused."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from harness.answers import decode_label_map, encode_label_map
from harness.errors import DataError


@given(arrays.arrays(np.uint16, arrays.array_shapes(min_dims=2, max_dims=2, max_side=5)))
def test_indices_come_back(labels: npt.NDArray[np.uint16]) -> None:
    assert np.array_equal(decode_label_map(encode_label_map(labels)), labels)
    assert np.array_equal(decode_label_map(encode_label_map(labels.astype(np.float64))), labels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-1, "-1"), (0.5, "0.5"), (65_536, "65536")]
)
def test_what_is_no_index_is_named(value: float, shown: str) -> None:
    labels = np.zeros((2, 3), np.float64)
    labels[1, 1] = value
    with pytest.raises(DataError, match=rf"A label map holds {shown}\S* \(1 such values of 6\).*take the argmax"):
        encode_label_map(labels)  # type: ignore[arg-type]
