"""Student's t distribution (Student 1908), without the second that importing scipy.stats takes."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=1024)
def t_quantile(freedom: float, share: float) -> float:
    """What t stays below in a `share` of cases, with `freedom` degrees of freedom, which need not be whole."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))


def t_cdf(t: float, freedom: float) -> float:
    """In which share of cases t is lower than this."""
    from scipy.special import stdtr

    return float(stdtr(freedom, t))
