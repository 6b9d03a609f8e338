"""Draws Vega-Lite charts as SVG or PNG.

The drawing runs in V8, which reserves tens of GiB of addresses and aborts its process where `ulimit -v` forbids it
(rc 133, SIGTRAP). Under such a limit each chart is drawn in a process of its own, so that bench can say so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from harness.errors import StoreError

_SECONDS = 120
_CHILD = """
import json, resource, sys
_, most = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
import vl_convert
asked = json.load(sys.stdin)
if asked["scale"]:
    sys.stdout.buffer.write(vl_convert.vegalite_to_png(asked["chart"], scale=asked["scale"]))
else:
    sys.stdout.buffer.write(vl_convert.vegalite_to_svg(asked["chart"]).encode())
"""


def svg_of(chart: Mapping[str, Any]) -> str:
    """Draw as SVG; raises StoreError where the process may not have the addresses that V8 needs."""
    if _addresses_are_limited():
        return _in_a_child(chart, None).decode()
    import vl_convert

    return str(vl_convert.vegalite_to_svg(dict(chart)))


def png_of(chart: Mapping[str, Any], scale: float) -> bytes:
    """Draw as PNG, `scale` px a px of the chart; raises StoreError as `svg_of` does."""
    if _addresses_are_limited():
        return _in_a_child(chart, scale)
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(dict(chart), scale=scale))


def _addresses_are_limited() -> bool:
    try:
        import resource
    except ImportError:  # a system without such limits
        return False
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def _in_a_child(chart: Mapping[str, Any], scale: float | None) -> bytes:
    asked = json.dumps({"chart": chart, "scale": scale}).encode()
    command = [sys.executable, "-P", "-c", _CHILD]
    done = subprocess.run(command, input=asked, capture_output=True, timeout=_SECONDS, check=False)
    if done.returncode == 0:
        return done.stdout
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0] / 2**30
    raise StoreError(
        f"Charts cannot be drawn: `ulimit -v` leaves {limit:.1f} GiB of addresses, and V8, which draws, reserves more. "
        "Run it with `ulimit -v unlimited`, or write the tables alone: --out FILE.md or FILE.csv."
    )
