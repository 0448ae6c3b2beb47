"""The network: encoder, trunk, temporal features, specialization, kernels (paper Fig. 2, 3, 8)."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn

from kpcn_core import features
from kpcn_core.errors import UnknownName
from kpcn_core.features import COMPONENTS, LIGHT, PLANES, Component
from kpcn_core.features_pyramid import scales as pyramid
from kpcn_core.model.config import KERNELS, RESIDUAL, ModelConfig
from kpcn_core.model.encoder import Encoder
from kpcn_core.model.kernels import KernelLayer, KernelPredictor, layer_logits
from kpcn_core.model.multiscale import ScaleWeight
from kpcn_core.model.residual import ResidualStack
from kpcn_core.model.specialization import (
    KernelPowers,
    Specialization,
    SpecializationBlock,
    is_one_number,
)
from kpcn_core.model.temporal import Context, TemporalFeatures, per_component
from kpcn_core.model.unet import UNet
from kpcn_core.ops.kernels import with_mask, without_mask
from kpcn_core.ops.pyramid import JOIN_LOGITS, interpolating_join_masked, join

# Components with little noise, and the logit that their kernels' centres start from.
SHARP = ("emission", "albedo")
SHARPNESS = 4.0

Origin = tuple[int, int]  # row and column
# Module, features of all frames, motion, centre and origins: see `TemporalFeatures.forward`.
Combine = Callable[[TemporalFeatures, list[Tensor], list[Tensor], int, list[Origin]], Context]
# What a frame's kernels are made from, None the centre's: see `KernelPredictor.unfolded`.
Unfold = Callable[[KernelPredictor, Context, int | None], Tensor]
Logits = dict[str, Tensor]  # component -> [B,k*k,h,w]


class Network(nn.Module):
    """From the input planes of frames to the kernels of each component, at every scale.

    A residual trunk has one of every module for all scales and components; they lie side by side
    in the batch, component by component. A U-Net has one of every module for each scale, and the
    components side by side in the logits.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        first, fold = config.channels[0], config.fold
        self.encoders = nn.ModuleDict(
            {
                name: Encoder(sum(PLANES[plane] for plane in planes), first, fold, config.pixels)
                for name, planes in config.encoders.items()
            }
        )
        self.trunk = (
            ResidualStack(first, config.blocks)
            if self.apart
            else UNet(config.channels, config.blocks, config.refinement)
        )
        self.temporal = nn.ModuleList(
            TemporalFeatures(width, config.window_blocks, fold) for width in config.channels
        )
        self.specialization = nn.ModuleList(
            self._specialization(scale) for scale in range(len(config.channels))
        )
        self.alpha = ScaleWeight() if self.apart else None
        # The layers of a U-Net all follow a ReLU, which halves the variance, and none skips it.
        self.apply(partial(_xavier, gain=1.0 if self.apart else 2**0.5))
        self.centre = nn.ModuleList(
            KernelPredictor(
                *(width, sum(self.layout(scale, centre=True).values()), fold),
                pixels=0 if scale else config.pixels,
            )
            for scale, width in enumerate(config.channels)
        )
        self.other = nn.ModuleList(
            KernelPredictor(width, sum(self.layout(scale, centre=False).values()), fold)
            for scale, width in enumerate(config.channels)
        )
        self._start_as_identity()

    @property
    def apart(self) -> bool:
        """Whether components and scales are read one by one."""
        return self.config.trunk == RESIDUAL

    def planes(
        self,
        parts: Mapping[str, Component],
        aovs: Mapping[str, Tensor],
        encoder: str,
        scales: int | None = None,
    ) -> list[Tensor]:
        """What `encode` reads of a frame.

        Args:
            parts: its components; height and width multiples of `config.alignment`.
            aovs: its AOVs [B,C,H,W].
            encoder: who reads it.
            scales: how many of the finest scales, default all.
        """
        names = self.planes_of(encoder)
        if not self.apart:
            return [_stacked(features.joint_planes(parts, aovs), names)]
        levels = scales or self.config.scales
        found = [pyramid(part, aovs, levels) for part in parts.values()]
        return [
            torch.cat([_stacked(features.component_planes(*one), names) for one in level])
            for level in zip(*found, strict=True)
        ]

    def encode(self, planes: Sequence[Tensor], encoder: str) -> list[Tensor]:
        """All that is kept of one frame: its features at every scale, finest first.

        Those of every pixel follow, if the network keeps any (`Encoder`). See `ModelConfig.cells`.
        """
        return self.extract(self.read(planes, encoder))

    def read(self, planes: Sequence[Tensor], encoder: str) -> list[Tensor]:
        """What an encoder makes of `planes`: the first half of `encode`."""
        module = self.encoders[encoder]
        assert isinstance(module, Encoder)
        if self.apart:
            return [module(level) for level in planes]
        return [module(planes[0]), *module.of_pixels(planes[0])]

    def extract(self, encoded: Sequence[Tensor]) -> list[Tensor]:
        """What the trunk makes of that: the second half."""
        if self.apart:
            return [self.trunk(level) for level in encoded]
        return [*self.trunk(encoded[0]), *encoded[1:]]

    def window(
        self,
        frames: Sequence[list[Tensor]],
        motion: Sequence[list[Tensor]],
        centre: int,
        origins: Sequence[Origin] | None = None,
        combine: Combine = TemporalFeatures.__call__,
    ) -> list[Context]:
        """Context of every scale (Fig. 3) from the features of a window's frames.

        Args:
            frames: what `encode` gave for each.
            motion: from the centre to each frame, at every scale, in its pixels [B,2,h,w].
            centre: index of the centre frame.
            origins: row and column, in each frame, of the centre's first pixel; multiples of the
                alignment. None where all frames are of the same region.
            combine: does what each scale's `TemporalFeatures` does.
        """
        scales = self.config.scales
        own = frames[centre][scales:]
        pixels: list[Tensor | None] = [*own, *[None] * (scales - len(own))]
        if len(frames) == 1:
            return [
                Context(here, [torch.zeros_like(here[:1, :1, :1, :1])], pixels=seen)
                for here, seen in zip(frames[0], pixels, strict=False)
            ]
        contexts = []
        for scale, found in enumerate(zip(*(one[:scales] for one in frames), strict=True)):
            steps = [one[scale] for one in motion]
            side = self.config.fold * 2**scale
            starts = [
                (row // side, column // side) for row, column in origins or [(0, 0)] * len(frames)
            ]
            module = _of(self.temporal, scale)
            assert isinstance(module, TemporalFeatures)
            context = combine(module, list(found), steps, centre, starts)
            contexts.append(context._replace(pixels=pixels[scale]))
        return contexts

    def specialize(self, contexts: Sequence[Context], slopes: Sequence[Tensor]) -> list[Context]:
        """Contexts changed by log(lambda) [B,1,h,w] of every scale (Fig. 8).

        Only the kernels of the centre frame are predicted from that: how much the other frames
        count is then a matter of the joint softmax, and a new lambda costs no more in a window.
        """
        if self.config.asymmetry == KERNELS:
            return [
                context._replace(slope=slope)
                for context, slope in zip(contexts, slopes, strict=True)
            ]
        return [
            context._replace(
                shared=_of(self.specialization, scale)(
                    context.shared, per_component(slope.to(self.precision), context.shared)
                )
            )
            for scale, (context, slope) in enumerate(zip(contexts, slopes, strict=True))
        ]

    def logits(self, context: Context, scale: int, names: Sequence[str]) -> Logits:
        """Kernels of the centre frame at one scale, before softmax.

        Args:
            context: of the scale.
            scale: 0 is the finest.
            names: of the components that were read, in their order.

        Returns:
            Component to logits; of a U-Net also component + ".join" to those of `join`.
        """
        module, slope = _of(self.centre, scale), context.slope
        assert isinstance(module, KernelPredictor)
        full = module.unfolded(context.shared, context.pixels)
        every = layer_logits(full, module.logits.weight, module.logits.bias)
        found = self._by_name(every, scale, names, centre=True)
        if slope is None:
            return found
        return found | {
            name: found[name] + slope * layer_logits(full, *power)
            for name, power in self.powers(scale).items()
        }

    def powers(self, scale: int) -> dict[str, tuple[Tensor, Tensor]]:
        """The layer of a scale's `KernelPowers`: output of the `layout` to its weight and bias."""
        module, rows = _of(self.specialization, scale), self._powered(scale)
        assert isinstance(module, KernelPowers)
        weights, biases = (
            torch.split(part, list(rows.values()))
            for part in (module.powers.weight, module.powers.bias)
        )
        return dict(zip(rows, zip(weights, biases, strict=True), strict=True))

    def outputs(self, scale: int, names: Sequence[str]) -> list[str]:
        """Names in the `layout` of a U-Net: the kernels of some components, then their joins."""
        joins = [f"{name}.join" for name in names] if scale < self.config.scales - 1 else []
        return [*names, *joins]

    def predictor(self, scale: int, names: Sequence[str]) -> tuple[KernelPredictor, Tensor]:
        """The module behind `logits` of a U-Net, and where the `outputs` of some components are."""
        module = _of(self.centre, scale)
        assert isinstance(module, KernelPredictor)
        outputs = self.outputs(scale, names)
        return module, _places(self.layout(scale, centre=True), outputs)

    def neighbour_predictor(
        self, scale: int, names: Sequence[str]
    ) -> tuple[KernelPredictor, Tensor]:
        """The module behind `neighbour_logits` of a U-Net, and where those of components are."""
        module = _of(self.other, scale)
        assert isinstance(module, KernelPredictor)
        return module, _places(self.layout(scale, centre=False), names)

    def powers_of(self, scale: int, outputs: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Weight and bias for the `powers` of some outputs; 0 for those that no lambda changes."""
        powers, layout = self.powers(scale), self.layout(scale, centre=True)
        like, _ = next(iter(powers.values()))
        none = {
            name: (like.new_zeros(count, like.shape[1]), like.new_zeros(count))
            for name, count in layout.items()
        }
        weights, biases = zip(*((none | powers)[name] for name in outputs), strict=True)
        return torch.cat(weights), torch.cat(biases)

    def neighbour_logits(
        self, context: Context, scale: int, frame: int, names: Sequence[str]
    ) -> Logits:
        """The same of another frame of the window, without joins."""
        found = _of(self.other, scale)(context.of(frame))
        return self._by_name(found, scale, names, centre=False)

    def kernel_layers(
        self,
        context: Context,
        scale: int,
        names: Sequence[str],
        frame: int | None = None,
        unfold: Unfold | None = None,
    ) -> dict[str, KernelLayer]:
        """What makes `logits`, or with a frame `neighbour_logits`, for kernels that make their own.

        Arguments and names as there; `unfold` does what `KernelPredictor.unfolded` does.
        """
        centre = frame is None
        module = _of(self.centre if centre else self.other, scale)
        assert isinstance(module, KernelPredictor)
        full = (unfold or _unfolded)(module, context, frame)
        weight, bias = module.logits.weight, module.logits.bias
        if self.apart:
            parts = zip(names, full.chunk(len(names)), strict=True)
            return {name: KernelLayer(part, weight, bias) for name, part in parts}
        layout = self.layout(scale, centre)
        rows = list(layout.values())
        pieces = zip(layout, torch.split(weight, rows), torch.split(bias, rows), strict=True)
        layers = {name: KernelLayer(full, *piece) for name, *piece in pieces}
        if not centre or context.slope is None:
            return layers
        return layers | _steered(layers, self.powers(scale), context.slope)

    def _by_name(self, found: Tensor, scale: int, names: Sequence[str], centre: bool) -> Logits:
        if self.apart:
            return dict(zip(names, found.chunk(len(names)), strict=True))
        layout = self.layout(scale, centre)
        return dict(zip(layout, torch.split(found, list(layout.values()), dim=1), strict=True))

    def join(self, fine: Tensor, coarse: Tensor, logits: Tensor | None) -> Tensor:
        """A filtered component with its low frequencies from a coarser scale.

        Args:
            fine: with its mask [B,C+1,H,W]; the first three channels are the component itself,
                further layers follow it.
            coarse: likewise [B,C+1,H/2,W/2].
            logits: of the component's join, if the network predicts any.

        Returns:
            The joined image with its mask [B,C+1,H,W].
        """
        if self.alpha is None:
            assert logits is not None
            return interpolating_join_masked(fine, coarse, logits)
        low, high = without_mask(coarse), without_mask(fine)
        joined = join(high, low, self.alpha(high[:, :3], low[:, :3]))
        return with_mask(joined, joined.isfinite().all(dim=1, keepdim=True))

    @property
    def precision(self) -> torch.dtype:
        """Of the input planes and the features; see `in_precision`."""
        first: Tensor = next(iter(self.encoders.values())).first.weight  # type: ignore[assignment, union-attr]
        return first.dtype

    def in_precision(self, precision: torch.dtype) -> "Network":
        """The same network with other numbers in its convolutions, and so in all features.

        The layers that make logits keep theirs, and logits, kernels and images stay as they are.
        """
        if precision == self.precision:
            return self
        found = deepcopy(self)
        for module in found.modules():
            if isinstance(module, nn.Conv2d):
                module.to(precision)
        return found

    @property
    def unsteered(self) -> frozenset[str]:
        """Components that no lambda changes."""
        return frozenset({*COMPONENTS} - {*LIGHT} if self.config.asymmetry == KERNELS else ())

    def planes_of(self, encoder: str) -> tuple[str, ...]:
        """Names of the planes that an encoder reads."""
        if encoder not in self.config.encoders:
            raise UnknownName(
                f"The network has no encoder '{encoder}'; it has {', '.join(self.config.encoders)}."
            )
        return self.config.encoders[encoder]

    @property
    def encoding_footprint(self) -> int:
        """How far, in pixels, a feature of `encode` can see in each direction."""
        config = self.config
        # The pixels that share a folded cell see each other, hence fold - 1.
        if isinstance(self.trunk, UNet):
            return config.fold * (2 + self.trunk.footprint) + config.fold - 1
        layers = 2 + 2 * config.blocks
        coarsest = 1 << (config.scales - 1)
        return coarsest * (layers * config.fold + config.fold) - 1

    @property
    def kernel_footprint(self) -> int:
        """How far the filtered image sees features and colors around a pixel, the further of both.

        In other frames, that is around where motion leads from any pixel so far away.
        """
        config = self.config
        coarsest = 1 << (config.scales - 1)
        radius = max(*config.kernels.values(), config.neighbours) // 2
        context = config.fold * (2 * config.window_blocks + 1)
        # A join reads the coarser pixels next to its own, and what its weights are made from.
        seen = 2 if self.alpha is None else 2 + self.alpha.footprint
        # The pixels around one may be those of the cells around its own.
        finest = max(radius, context + config.fold * bool(config.pixels))
        return max(coarsest * max(radius, context) + seen * (coarsest - 1), finest)

    def layout(self, scale: int, centre: bool) -> dict[str, int]:
        """Names of the logits of a scale, and how many there are of each."""
        config = self.config
        if self.apart:
            side = config.kernels[COMPONENTS[0]] if centre else config.neighbours
            return {"kernel": side**2}
        sides = config.kernels if centre else dict.fromkeys(COMPONENTS, config.neighbours)
        layout = {name: sides[name] ** 2 for name in COMPONENTS}
        if centre and scale < config.scales - 1:
            layout |= {f"{name}.join": JOIN_LOGITS for name in COMPONENTS}
        return layout

    def _powered(self, scale: int) -> dict[str, int]:
        """The part of the `layout` that lambda changes, where it enters the kernels."""
        layout = self.layout(scale, centre=True)
        return {name: layout[name] for name in layout if name.split(".")[0] in LIGHT}

    def _specialization(self, scale: int) -> Specialization | KernelPowers:
        config, width = self.config, self.config.channels[scale]
        if config.asymmetry != KERNELS:
            return Specialization(width, config.specialization, config.fold)
        read = KernelPredictor.width(width, config.fold)
        return KernelPowers(read, sum(self._powered(scale).values()))

    def _start_as_identity(self) -> None:
        """Modules that are trained later change nothing until then."""
        later = chain(self.temporal.modules(), self.specialization.modules())
        for module in later:
            if isinstance(module, TemporalFeatures | SpecializationBlock | KernelPowers):
                module.start_as_identity()
        if self.alpha is not None:
            self.alpha.start_at_half()
        if isinstance(self.trunk, UNet):
            self.trunk.refine.start_as_identity()
            self._start_sharp()
            return
        self.trunk.start_as_identity()
        for predictor in self.centre:
            assert isinstance(predictor, KernelPredictor)
            predictor.start_narrow()

    @torch.no_grad()
    def _start_sharp(self) -> None:
        """Components that have little noise start from kernels that keep them as they are.

        From box filters, a short training ends with albedos that are worse than noisy ones.
        """
        for scale, predictor in enumerate(self.centre):
            layout = self.layout(scale, centre=True)
            assert isinstance(predictor, KernelPredictor)
            pieces = torch.split(predictor.logits.bias, list(layout.values()))
            biases = dict(zip(layout, pieces, strict=True))
            for name in SHARP:
                biases[name][layout[name] // 2] = SHARPNESS
                if f"{name}.join" in biases:
                    # The mean of the fine image itself, and all of its detail.
                    biases[f"{name}.join"][-2:] = SHARPNESS


def _unfolded(module: KernelPredictor, context: Context, frame: int | None) -> Tensor:
    if frame is None:
        return module.unfolded(context.shared, context.pixels)
    return module.unfolded(context.of(frame))


def _steered(
    layers: Mapping[str, KernelLayer],
    powers: Mapping[str, tuple[Tensor, Tensor]],
    slope: Tensor,
) -> dict[str, KernelLayer]:
    """Layers whose logits have log(lambda) [B,1,H,W] times their powers added."""
    full = next(iter(layers.values())).features
    if len(slope) == 1 and is_one_number(slope):
        number = slope[0, 0, 0, 0]
        return {
            name: KernelLayer(
                full, layers[name].weight + number * weight, layers[name].bias + number * bias
            )
            for name, (weight, bias) in powers.items()
        }
    slope = slope.to(full.dtype)
    wider = torch.cat([full, slope * full, slope], dim=1)
    return {
        name: KernelLayer(
            wider, torch.cat([layers[name].weight, weight, bias[:, None]], 1), layers[name].bias
        )
        for name, (weight, bias) in powers.items()
    }


def _places(layout: Mapping[str, int], outputs: Sequence[str]) -> Tensor:
    """Where some outputs are among all of a layer."""
    every = torch.split(torch.arange(sum(layout.values())), list(layout.values()))
    pieces = dict(zip(layout, every, strict=True))
    return torch.cat([pieces[output] for output in outputs])


def _of(modules: nn.ModuleList, scale: int) -> nn.Module:
    """The module of a scale, or the one that all share."""
    return modules[scale if len(modules) > 1 else 0]


def _stacked(planes: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    return torch.cat([planes[name] for name in names], dim=1)


def _xavier(module: nn.Module, gain: float) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight, gain)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
