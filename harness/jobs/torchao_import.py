"""Lets transformers import torchao, where that is installed, without torch's warning of how torchao is made."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGER = "torch.utils._pytree"
_WARNING = "register_constant() on Enum subclasses"


@contextmanager
def unwarned_of_torchao() -> Iterator[None]:
    """Drop that one warning, which nobody here can act on, while something in the block is imported."""

    def keep(record: logging.LogRecord) -> bool:
        return _WARNING not in str(record.msg)

    logger = logging.getLogger(_LOGGER)
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
