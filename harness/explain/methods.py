"""The methods of attribution that `--explain` takes; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from harness.errors import UsageError, nearest

INTEGRATED_GRADIENTS, GRAD_CAM, OCCLUSION = "integrated-gradients", "grad-cam", "occlusion"
SHAPLEY, KERNEL_SHAP = "shapley", "kernel-shap"


@dataclass(frozen=True)
class ExplainMethod:
    """A method of attribution; `gradients`: it needs a loss that can be differentiated; `words`: it explains words too.

    `version` is raised whenever the same model would be given other maps; `packages` are imported by it.
    """

    name: str
    summary: str
    gradients: bool
    words: bool
    version: int = 1
    packages: tuple[str, ...] = ("captum",)


METHODS: Mapping[str, ExplainMethod] = {
    method.name: method
    for method in (
        ExplainMethod(
            INTEGRATED_GRADIENTS,
            "gradients along the way from a reference to the input (Sundararajan et al. 2017, arXiv 1703.01365)",
            gradients=True,
            words=True,
            version=2,
        ),
        ExplainMethod(
            GRAD_CAM,
            "gradients by the backbone's last map, times the map (Selvaraju et al. 2017, arXiv 1610.02391)",
            gradients=True,
            words=False,
            packages=(),
        ),
        ExplainMethod(
            OCCLUSION,
            "what is lost without a part of the image or a word (Zeiler & Fergus 2014, arXiv 1311.2901)",
            gradients=False,
            words=True,
        ),
        ExplainMethod(
            SHAPLEY,
            "mean gain of a part over random orders of all parts (Castro et al. 2009, Strumbelj & Kononenko 2010)",
            gradients=False,
            words=True,
        ),
        ExplainMethod(
            KERNEL_SHAP,
            "the same by weighted regression (Lundberg & Lee 2017, arXiv 1705.07874)",
            gradients=False,
            words=True,
            packages=("captum", "sklearn"),
        ),
    )
}
"""The methods by name."""


def explain_methods(text: str) -> tuple[ExplainMethod, ...]:
    """Read `--explain`: names with commas between, or all.

    Raises UsageError for a name that there is not, and where a package of the extra is not installed.
    """
    names = list(METHODS) if text.strip() == "all" else [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in METHODS:
            raise UsageError(f"--explain {name}: there is no such method. {nearest(name, METHODS)}")
    found = tuple(METHODS[name] for name in dict.fromkeys(names))
    if not found:
        raise UsageError(f"--explain names no method. Known: {', '.join(METHODS)}, or all.")
    for method in found:
        for package in method.packages:
            if find_spec(package) is None:
                raise UsageError(
                    f"--explain {method.name} needs the package {package}, which is not installed here: "
                    "`pip install 'fusemark[explain]'`."
                )
    return found
