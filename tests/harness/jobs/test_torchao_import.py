"""One warning of torch is dropped while torchao is imported, and no other."""

from __future__ import annotations

import logging

import pytest

from harness.jobs.torchao_import import unwarned_of_torchao


def test_that_one_warning_is_dropped_within_the_block_alone(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("torch.utils._pytree")
    said = "%s is an Enum subclass. Calling register_constant() on Enum subclasses is deprecated."
    with caplog.at_level(logging.WARNING, logger.name):
        with unwarned_of_torchao():
            logger.warning(said, "KernelPreference")
            logger.warning("another %s", "warning")
        logger.warning(said, "MyEnum")
    assert [record.getMessage()[:7] for record in caplog.records] == ["another", "MyEnum "]
