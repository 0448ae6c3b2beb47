"""The AOV vocabulary: the named inputs that the rest of the package speaks of.

A renderer's layers become these through its source (see ``source.py``). The channel suffixes are
those of our own EXR layout, which is the one the RenderMan denoiser expects (docs/formats.md).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Aov:
    """One named input.

    Attributes:
        name: our word for it, never the renderer's.
        layer: layer name in our own EXR layout; "" is the file's main layer.
        suffixes: channel names within the layer, in the order of the array's first axis.
        meaning: what the values are, with units.
        radiance: linear light, so that a kernel may be applied to it.
    """

    name: str
    layer: str
    suffixes: tuple[str, ...]
    meaning: str
    radiance: bool = False

    @property
    def channels(self) -> int:
        """Length of the array's first axis."""
        return len(self.suffixes)


RGB = ("R", "G", "B")
XYZ = ("X", "Y", "Z")
XY = ("X", "Y")

# The AOVs that can have a `*_mse` twin: the variance of the pixel mean, per channel.
ESTIMATED = ("color", "alpha", "albedo", "normal", "diffuse", "specular")


def _mse(name: str, layer: str, suffixes: tuple[str, ...]) -> Aov:
    return Aov(f"{name}_mse", layer, suffixes, f"variance of the pixel mean of {name}")


AOVS: dict[str, Aov] = {
    aov.name: aov
    for aov in (
        Aov("color", "", RGB, "beauty: linear radiance", radiance=True),
        Aov("alpha", "", ("A",), "coverage, 0 to 1"),
        Aov("albedo", "albedo", RGB, "surface reflectance, 0 to 1"),
        Aov("normal", "normal", XYZ, "shading normal in world space, -1 to 1"),
        Aov("diffuse", "diffuse", RGB, "radiance of diffuse first bounces", radiance=True),
        Aov("specular", "specular", RGB, "radiance of all other first bounces", radiance=True),
        Aov("depth", "", ("Z",), "distance from the camera, scene units; infinite where empty"),
        Aov("sample_count", "sampleCount", ("Y",), "samples taken in the pixel"),
        Aov("forward", "forward", XY, "motion to the next frame, pixels, +x right, +y down"),
        Aov("backward", "backward", XY, "motion to the previous frame, pixels, +x right, +y down"),
        _mse("color", "mse", RGB),
        _mse("alpha", "alpha_mse", ("Y",)),
        _mse("albedo", "albedo_mse", RGB),
        _mse("normal", "normal_mse", XYZ),
        _mse("diffuse", "diffuse_mse", RGB),
        _mse("specular", "specular_mse", RGB),
    )
}
