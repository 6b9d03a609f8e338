"""Imported last by the fork server, and only there: spares its children from copying pages.

Python's collector writes to every object that it visits; frozen objects are left alone, so their pages stay shared.
"""

from __future__ import annotations

import gc

gc.collect()
gc.freeze()
