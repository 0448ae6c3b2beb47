"""Structure that kernels blurred, found again with the help of guides.

In a small area, what denoising took from a frame is a linear function of its normals and albedo,
and noise: edges between surfaces that the kernels blurred lie in both. The function is found by
least squares and given back; the noise is not. This is a first-order model as of Moon et al. 2014
and Bitterli et al. 2016, in the form of the guided filter (He et al. 2010), for what is left after
a network. The areas overlap: sums over squares of pixels are averaged with those next to them, and
what is found in neighbouring squares is interpolated.

A prior says that the function is none, so that few samples with much noise decide nothing. It needs
neither variances nor sample counts.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core.features import finite
from kpcn_core.ops import compiler, fusion
from kpcn_core.ops.workers import each, in_rows
from kpcn_core.prepared import Prepared

SQUARE = 4  # pixels, the side of those that are summed first
AROUND = (0.25, 0.5, 0.25)  # weights of the squares around one, in each direction
# Pixels that an area counts as, for the variance of its mean.
PIXELS = (SQUARE / sum(weight**2 for weight in AROUND)) ** 2
# What the albedo counts beside the normals. Its edges are mostly there already: the denoised
# irradiance is multiplied by it.
ALBEDO = 0.2
# How far one unit of a normal may change the brightness, relative to it, before the area is looked
# at. A window leaves less noise: what fits noise would be seen more, as flicker most of all.
PRIOR = 1.0
RIDGE = 1e-3  # variance of guides that says nothing
# Relative differences of a pixel count no more than this: of a firefly, say.
MOST = 1.0
DARK = 0.02  # brightness, in exposed units, below which differences no longer count relative to it
LEAST, LARGEST = 0.1, 3.0  # of the factor


class Guides(NamedTuple):
    """What explains structure, as noisy as it is; what is not finite counts as 0.

    Attributes:
        normal: [1,3,H,W], or None.
        albedo: [1,3,H,W], of which the mean counts, or None.
    """

    normal: Tensor | None
    albedo: Tensor | None

    @property
    def planes(self) -> Tensor:
        """All of them [1,K,H,W]."""
        found = [] if self.normal is None else [finite(self.normal)]
        if self.albedo is not None:
            found.append(ALBEDO * finite(self.albedo).mean(dim=1, keepdim=True))
        return torch.cat(found, dim=1)


def factor(prepared: Prepared, color: Tensor, filtered: Tensor, frames: int) -> Tensor | None:
    """What to multiply a denoised color [1,3,H,W] by, and all that it is the sum of [1,1,H,W].

    Args:
        prepared: the frame.
        color: denoised, in units of the frame.
        filtered: the same, NaN where no kernel had a usable pixel [1,3,H,W].
        frames: of the window that it was denoised with.

    Returns:
        1 where guides explain nothing, and where nothing was filtered; None if there are no guides.
    """
    guides = Guides(prepared.aovs.get("normal"), prepared.aovs.get("albedo"))
    if guides.normal is None and guides.albedo is None:
        return None
    noisy, dark = prepared.aovs["color"], DARK / prepared.gain
    if fusion.usable(color):
        return _fused(noisy, color, filtered, guides, dark, PRIOR / frames)
    found = explained(noisy, color, guides, dark, PRIOR / frames)
    if compiler.usable(found):
        # numba takes its time to be imported.
        from kpcn_core.ops.regression import bounded_factors

        planes, (out,) = compiler.planes(filtered), compiler.planes(found)
        in_rows(
            lambda first, last: bounded_factors(planes, LEAST, LARGEST, first, last, out),
            out.shape[0],
        )
        return torch.from_numpy(out)[None, None]
    there = filtered.isfinite().all(dim=1, keepdim=True)
    return torch.where(there, (1 + found).clamp(LEAST, LARGEST), 1.0)


def _fused(
    noisy: Tensor, denoised: Tensor, filtered: Tensor, guides: Guides, dark: Tensor, prior: float
) -> Tensor:
    """`factor` of images on a GPU, in two passes over them."""
    # Triton is not everywhere.
    from kpcn_core.ops import fused_regression as fused

    known = fused.Guides(*guides, ALBEDO)
    products = fused.mean_products(noisy, denoised, known, dark, MOST, SQUARE)
    functions = fused.fitted(products, AROUND, RIDGE, 1 / (PIXELS * prior**2))
    return fused.factors(functions, known, filtered, (LEAST, LARGEST), SQUARE)


def explained(
    noisy: Tensor, denoised: Tensor, guides: Guides, dark: Tensor, prior: float = PRIOR
) -> Tensor:
    """The part of what denoising took that guides explain, relative to the brightness [1,1,H,W].

    Args:
        noisy: color [1,3,H,W]; pixels that are not finite count nothing.
        denoised: likewise.
        guides: at least one.
        dark: brightness [1,1,1,1] that is added to that of the denoised pixels.
        prior: see `PRIOR`.
    """
    if compiler.usable(denoised):
        return _compiled(noisy, denoised, guides, float(dark), prior)
    known = guides.planes
    usable = (noisy + denoised).isfinite().all(dim=1, keepdim=True)
    bright = denoised.mean(dim=1, keepdim=True).clamp(min=0) + dark
    left = ((noisy - denoised).mean(dim=1, keepdim=True) / bright).clamp(-MOST, MOST)
    planes = torch.cat([torch.ones_like(left), known, left], dim=1)
    rows, columns = torch.triu_indices(planes.shape[1], planes.shape[1], device=planes.device)
    products = torch.cat(
        [planes[:, rows] * planes[:, columns], (bright - dark) * planes[:, :-1]], 1
    )
    products = torch.where(usable, products, 0.0)
    height, width = left.shape[-2:]
    wide = functional.pad(products, [0, -width % SQUARE, 0, -height % SQUARE])
    found = _fitted(functional.avg_pool2d(wide, SQUARE)[0], known.shape[1], prior)
    larger = functional.interpolate(
        found[None], scale_factor=float(SQUARE), mode="bilinear", align_corners=False
    )[..., :height, :width]
    return (larger[:, :-1] * known).sum(dim=1, keepdim=True) + larger[:, -1:]


def _compiled(noisy: Tensor, denoised: Tensor, guides: Guides, dark: float, prior: float) -> Tensor:
    """`explained` of images on a CPU, in two passes over them, with nothing but the result kept."""
    # numba takes its time to be imported.
    from kpcn_core.ops.regression import apply_functions, sum_products

    mean, clean = compiler.planes(noisy), compiler.planes(denoised)
    known = tuple(
        plane for image in guides if image is not None for plane in compiler.planes(image)
    )
    single = 0 if guides.normal is None else guides.normal.shape[1]
    number = single + (guides.albedo is not None)
    height, width = mean[0].shape
    squares = -(-height // SQUARE), -(-width // SQUARE)
    sums = np.empty(((number + 2) * (number + 3) // 2 + number + 1, *squares), np.float32)

    def add(row: int) -> None:
        sum_products(mean, clean, known, single, ALBEDO, dark, MOST, SQUARE, row, sums)

    each(add, [(row,) for row in range(squares[0])])
    found = _fitted(torch.from_numpy(sums), number, prior).contiguous().numpy()
    out = np.empty((height, width), np.float32)

    def apply(first: int, last: int) -> None:
        apply_functions(found, known, single, ALBEDO, SQUARE, first, last, out)

    in_rows(apply, height)
    return torch.from_numpy(out)[None, None]


def _fitted(sums: Tensor, count: int, prior: float) -> Tensor:
    """The function of each square: a factor for each guide, and a constant [K+1,h,w].

    The constant keeps the light: what brightens some pixels darkens others. How much was taken from
    all of them is `restoration`'s.

    Args:
        sums: of the products of 1, the guides and what was taken: those of 1 with all, of the first
            guide with itself and all after it, and so on; then of the brightness with 1 and the
            guides [(K+2)(K+3)/2+K+1,h,w].
        count: K.
        prior: see `PRIOR`.
    """
    mean = _around(sums)
    mean = mean / mean[:1].clamp(min=1e-6)
    middle, taken = mean[1 : 1 + count], mean[1 + count]
    products = iter(mean[2 + count :])
    matrix: list[list[Tensor]] = [[] for _ in range(count)]
    right = []
    for row in range(count):
        matrix[row] = [next(products) - middle[row] * middle[k] for k in range(row, count)]
        right.append(next(products) - middle[row] * taken)
    noise = (next(products) - taken.square()).clamp(min=0)
    for equation in matrix:
        equation[0] = equation[0] + RIDGE + noise / (PIXELS * prior**2)
    factors = _solved(matrix, right)
    light = next(products)
    constant = torch.zeros_like(light)
    for one, there, lit in zip(factors, middle, products, strict=True):
        constant -= one * torch.where(light > 0, lit / light, there)
    return torch.stack([*factors, constant])


def _solved(matrix: Sequence[Sequence[Tensor]], right: Sequence[Tensor]) -> list[Tensor]:
    """Symmetric positive definite equations, one for each pixel, by elimination.

    Args:
        matrix: of each row what is on the diagonal and to the right of it.
        right: the right-hand sides.
    """
    rows = [list(row) for row in matrix]
    sides, count = list(right), len(right)
    for k in range(count):
        for lower in range(k + 1, count):
            share = rows[k][lower - k] / rows[k][0]
            rows[lower] = [
                number - share * above
                for number, above in zip(rows[lower], rows[k][lower - k :], strict=True)
            ]
            sides[lower] = sides[lower] - share * sides[k]
    found: list[Tensor] = [torch.empty(0)] * count
    for k in reversed(range(count)):
        rest = sides[k]
        for right_of in range(k + 1, count):
            rest = rest - rows[k][right_of - k] * found[right_of]
        found[k] = rest / rows[k][0]
    return found


def _around(sums: Tensor) -> Tensor:
    """Weighted means of squares and those around them; the outermost go on beyond the image."""
    height, width = sums.shape[-2:]
    if compiler.usable(sums):
        from kpcn_core.ops.regression import smooth

        image, weights = sums.numpy(), np.array(AROUND, np.float32)
        out = np.empty_like(image)
        each(lambda plane: smooth(image, weights, plane, out), [(k,) for k in range(len(image))])
        return torch.from_numpy(out)
    wide = functional.pad(sums[None], [1] * 4, mode="replicate")[0]
    rows = sum(weight * wide[:, k : k + height] for k, weight in enumerate(AROUND))
    assert isinstance(rows, Tensor)
    found = sum(weight * rows[..., k : k + width] for k, weight in enumerate(AROUND))
    assert isinstance(found, Tensor)
    return found
