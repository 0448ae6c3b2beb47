"""Guides: what tells where an image needs samples (paper §5).

A guide is any function from the noisy and the denoised frame to an error map.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from kpcn_core import features
from kpcn_core.errors import MissingAov, UnknownName
from kpcn_core.frame import Frame, Pixels
from kpcn_core.metric_maps import error_map
from kpcn_core.metrics import EPSILON
from kpcn_core.model.error_config import GUIDING_METRICS

Guide = Callable[[Frame, Frame], Pixels]  # (noisy, denoised) -> error map, at least 0 [1,H,W]

DEFAULT = "smape"
TRUE = "true-"
NAMES = (*GUIDING_METRICS, "variance", "uniform", *(TRUE + metric for metric in GUIDING_METRICS))


@runtime_checkable
class PredictsError(Protocol):
    """A denoiser whose weights hold error predictors."""

    @property
    def error_metrics(self) -> Collection[str]:
        """The metrics that it predicts."""
        ...

    def predict_error(self, noisy: Frame, denoised: Frame, metric: str) -> Pixels:
        """The error [1,H,W] that is left in a denoised frame."""
        ...


def uniform(noisy: Frame, denoised: Frame) -> Pixels:
    """Every pixel alike."""
    return np.ones((1, *noisy.size), np.float32)


def variance(noisy: Frame, denoised: Frame) -> Pixels:
    """Relative variance of the input: what MrSE is expected to say of the noisy image.

    The denoised frame is not looked at: this is how renderers adapt on their own.

    Raises:
        MissingAov: the renderer gives no variance.
    """
    if "color_mse" not in noisy:
        raise MissingAov(
            "The guide 'variance' needs the variance of the color, which this renderer does not "
            f"give; it gives {', '.join(noisy.aovs)}. Choose another guide."
        )
    gain = features.exposure(torch.from_numpy(noisy["color"])[None]).item()
    color, spread = noisy["color"] * gain, noisy["color_mse"] * gain**2
    relative = (spread / (np.square(color) + EPSILON)).mean(axis=0, keepdims=True)
    # No further sample mends what is NaN or Inf; the denoiser reports it.
    return np.where(np.isfinite(relative), relative, 0).astype(np.float32)


def choose(name: str, denoiser: Any, reference: Pixels | None = None) -> Guide:
    """The guide of a name.

    Args:
        name: one of `NAMES`: a metric is predicted, `true-` and a metric is measured.
        denoiser: whose error is to be predicted.
        reference: color [3,H,W] that true errors are measured against; for experiments.

    Raises:
        UnknownName: no such guide, or the denoiser cannot predict it, or it needs a reference.
    """
    if name in ("uniform", "variance"):
        return {"uniform": uniform, "variance": variance}[name]
    if name in GUIDING_METRICS:
        return _predicted(name, denoiser)
    if name not in NAMES:
        raise UnknownName(f"No guide is called '{name}'. There are {', '.join(NAMES)}.")
    if reference is None:
        raise UnknownName(f"The guide '{name}' measures a true error. Give it a reference.")
    return partial(_true, name.removeprefix(TRUE), reference)


def _predicted(metric: str, denoiser: Any) -> Guide:
    known = denoiser.error_metrics if isinstance(denoiser, PredictsError) else ()
    if metric not in known:
        raise UnknownName(
            f"The guide '{metric}' needs a network that predicts its own {metric}; this one "
            f"predicts {', '.join(known) or 'no error'}. "
            f"Choose other weights, or the guide 'variance'."
        )
    return partial(denoiser.predict_error, metric=metric)


def _true(metric: str, reference: Pixels, noisy: Frame, denoised: Frame) -> Pixels:
    return error_map(metric, denoised["color"], reference)
