"""Pairs: noisy images with what a finished denoiser makes of them, and how wrong that is (§5).

They do not change while an error predictor learns, so each view's are made once and kept.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from kpcn_core import features, weights
from kpcn_core.atomic import replaced
from kpcn_core.denoiser import Denoiser
from kpcn_core.error_map import planes
from kpcn_core.frame import Frame
from kpcn_core.metric_maps import MAPS
from kpcn_core.model.error_config import GUIDING_METRICS
from kpcn_core.model.specialization import MAX_ASYMMETRY
from training.augmentation import Aovs
from training.batches import choose_buffers
from training.config import PairConfig
from training.mixture import lacking, reader
from training.views import REFERENCE, View

ALL = slice(None)
# Lambda of the denoised reference: nothing goes but what is surely noise, so that it shares little
# of the blur whose error is to be learned.
CLEANING = 4.0


class Pair(NamedTuple):
    """One noisy image of a view, and what became of it; or a part of both.

    Attributes:
        noisy: exposed colors [3,H,W].
        denoised: the same, denoised.
        deviation: how noisy the input says it is [1,H,W], see `error_map.planes`.
        errors: of the denoised image, a plane for each of `GUIDING_METRICS`.
        weight: 1 where the input was finite, else 0 [1,H,W].
    """

    noisy: Tensor
    denoised: Tensor
    deviation: Tensor
    errors: Tensor
    weight: Tensor


class Pairs:
    """The pairs of the views of a data set, made when they are first asked for.

    Args:
        config: how they are made.
        folder: where they are kept.
        seed: of everything that is random about them.
        device: where to denoise.
    """

    def __init__(self, config: PairConfig, folder: Path, seed: int, device: str = "cpu") -> None:
        self.config = config
        self.folder = folder
        self.seed = seed
        self.denoiser = Denoiser.load(config.denoiser, device)
        self.trained_with = weights.describe(weights.find(config.denoiser))["sha256"]
        self._files: dict[Path, Any] = {}

    def pair(self, view: View, index: int, rows: slice = ALL, columns: slice = ALL) -> Pair:
        """A part of one of the `config.draws` pairs of a view."""
        file = self._file(view)
        return Pair._make(
            file.get_slice(f"{index}/{name}")[:, rows, columns] for name in Pair._fields
        )

    def _file(self, view: View) -> Any:
        if view.path not in self._files:
            # Views of several data sets may have the same seed.
            path = self.folder / f"{view.seed:06d}-{view.sha256[:8]}.safetensors"
            identity = json.dumps([asdict(self.config), CLEANING, self.seed, self.trained_with])
            if not (path.is_file() and _made_of(path) == identity):
                path.parent.mkdir(parents=True, exist_ok=True)
                made = self._made(view)
                with replaced(path, overwrite=True) as temporary:
                    temporary.write_bytes(save(made, {"made_of": identity}))
            self._files[view.path] = safe_open(path, framework="pt")
        return self._files[view.path]

    def _made(self, view: View) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for index in range(self.config.draws):
            generator = np.random.default_rng([self.seed, view.seed, index])
            pair = self._draw(view, generator)
            found |= {f"{index}/{name}": value for name, value in pair._asdict().items()}
        return found

    def _draw(self, view: View, generator: np.random.Generator) -> Pair:
        """A noisy image of random sample count, source and lambda."""
        known = self.denoiser.network.config.encoders
        alone = reader(known, view.given([next(iter(view.spp))]))
        buffers = choose_buffers(view.spp, generator, view.fewest(variances=alone is None))
        encoders = {
            name: planes
            for name, planes in known.items()
            if not lacking(planes, view.given(buffers))
        }
        encoder = str(generator.choice(list(encoders), p=_shares(self.config.shares, encoders)))
        noisy = Frame(_read_by(encoders[encoder], view.aovs(buffers)))
        asymmetry = MAX_ASYMMETRY ** generator.uniform()
        if generator.random() >= self.config.asymmetric:
            asymmetry = 1.0
        denoised = self.denoiser.denoise(noisy, asymmetry=asymmetry, encoder=encoder)
        seen = [plane[0].cpu() for plane in planes(noisy, denoised, self.denoiser.device)]
        finite = torch.from_numpy(np.isfinite(noisy["color"]).all(axis=0, keepdims=True))
        errors = self._errors(view, buffers, denoised)
        return Pair._make([*seen, errors, finite.float()])

    def _errors(self, view: View, used: list[str], denoised: Frame) -> Tensor:
        """True errors [M,H,W]: against all samples that the input did not have, denoised.

        A reference of a few hundred samples has noise of its own, of the size of the errors that
        are to be learned.
        """
        unused = [REFERENCE, *(name for name in view.spp if name not in used)]
        reference = self.denoiser.denoise(Frame(view.aovs(unused)), asymmetry=CLEANING)
        images = (torch.from_numpy(frame["color"])[None] for frame in (denoised, reference))
        d, r = (torch.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0) for image in images)
        gain = features.exposure(r)
        return torch.cat([MAPS[metric](d * gain, r * gain)[0] for metric in GUIDING_METRICS])


def _read_by(wanted: Collection[str], aovs: Aovs) -> Aovs:
    """AOVs without variances if an encoder of these planes reads none."""
    if any(plane.endswith("_variance") for plane in wanted):
        return aovs
    return {name: pixels for name, pixels in aovs.items() if not name.endswith("_mse")}


def _shares(shares: Mapping[str, float], encoders: Mapping[str, object]) -> list[float]:
    found = [shares.get(name, 1.0) for name in encoders]
    return [share / sum(found) for share in found]


def _made_of(path: Path) -> str:
    with safe_open(path, framework="pt") as file:
        return str((file.metadata() or {}).get("made_of"))
