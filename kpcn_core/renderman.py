"""The configuration of RenderMan's `denoise_batch`, understood as work for us.

What was seen of it in callers' code: `settings` name the layers of the features and the frames to
read (`frame-include`) and not to write (`frame-exclude`); each of the `passes` names a layer with
its variance, and which layers its kernels are applied to. Texts may hold ${VARIABLES} of the
environment. The diffuse and the specular pass both write to RGB, which is their sum.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any

from kpcn_core.errors import UnknownName, UnreadableFile, Unsupported, UnwritableFile
from kpcn_core.sequence import Shot, numbers, shots
from kpcn_core.sequence_pattern import Pattern

BEAUTY = ("RGB", "RGBA", "Ci")
FEATURES = {
    "albedo": "albedo",
    "albedo_variance": "albedo_mse",
    "normal": "normal",
    "normal_variance": "normal_mse",
    "sample_count": "sample_count",
}
COMPONENTS = ("diffuse", "specular", "albedo")
WINDOW = re.compile(r"full_w(\d+)")
STRONGEST = 10.0  # our asymmetry for their 1
CROSSFRAME = 7  # frames of their temporal network


@dataclass(frozen=True)
class Batch:
    """What a configuration asks for.

    Attributes:
        pattern: the noisy files.
        output: the clean files.
        include: frames to read; None for all.
        exclude: frames that are neighbours only, and not written.
        layers: AOV name to a layer, where it is not called as usual.
        aovs: which to denoise.
        extra: further layers to the component whose kernels they get.
        window: frames that the denoiser looks at.
        asymmetry: our λ, from 1 to 10.
        in_place: whether the inputs themselves may be replaced.
    """

    pattern: str
    output: str
    include: str | None
    exclude: frozenset[int]
    layers: Mapping[str, str]
    aovs: tuple[str, ...]
    extra: Mapping[str, str]
    window: int
    asymmetry: float
    in_place: bool

    def shots(self) -> list[Shot]:
        """The files, checked before any work; existing ones are replaced, as `denoise_batch` does.

        Raises:
            MissingFrames: frames to read are not there.
            UnwritableFile: the outputs cannot be written, or are the inputs.
        """
        if not self.in_place and Path(self.pattern).resolve() == Path(self.output).resolve():
            raise UnwritableFile(
                f"{self.output}: would replace the input. Name another output, or set "
                f"'overwrite' in the settings."
            )
        found = shots(self.pattern, self.output, self.include, overwrite=True)
        there = Pattern.parse(self.pattern).on_disk()
        read_only = {there[number] for number in self.exclude if number in there}
        written = [
            Shot([pair for pair in shot.files if pair[0] not in read_only], shot.frames)
            for shot in found
        ]
        return [shot for shot in written if shot.files]


def read(path: Path, environment: Mapping[str, str] = os.environ) -> Batch:
    """Read a configuration file.

    Raises:
        UnreadableFile: it is missing, no JSON, or not of this form.
        Unsupported: it asks for what we cannot do.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path}: not a readable configuration: {error}.") from error
    try:
        return batch(_expanded(content, environment))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableFile(
            f"{path}: expected 'settings' and 'passes' of denoise_batch; {error!r} is missing or "
            f"of another form."
        ) from error
    except (Unsupported, UnknownName) as error:
        raise type(error)(f"{path}: {error}") from error


def batch(content: Mapping[str, Any]) -> Batch:
    """A configuration whose variables are expanded; errors as `read`."""
    settings, passes = content["settings"], content["passes"]
    writes = list(_writes(passes))
    if not writes:
        raise Unsupported("no pass has an output. Add one that writes RGB.")
    return Batch(
        pattern=_one({each["input"]["filename"] for each in passes}, "input"),
        output=_one({write["filename"] for _, _, write in writes}, "output"),
        include=str(settings["frame-include"]) if settings.get("frame-include") else None,
        exclude=_excluded(settings),
        layers=dict(_layers(settings, passes)),
        aovs=_aovs(writes),
        extra=dict(_extra(writes)),
        window=_window(str(settings.get("topology", ""))),
        asymmetry=_asymmetry(float(settings.get("asymmetry", 0))),
        in_place=bool(settings.get("overwrite", False)),
    )


def _writes(passes: Any) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(pass, what is read, what is written) for each output."""
    for each in passes:
        for output in each.get("outputs", ()):
            yield each["name"], output["read"], output["write"]


def _one(names: set[str], kind: str) -> str:
    if len(names) != 1:
        raise Unsupported(
            f"expected one {kind} file for all passes; found {', '.join(sorted(names))}. "
            f"Render all layers to one file; it stays one file."
        )
    return next(iter(names))


def _excluded(settings: Mapping[str, Any]) -> frozenset[int]:
    text = settings.get("frame-exclude")
    return frozenset(numbers(str(text))) if text else frozenset()


def _layers(settings: Mapping[str, Any], passes: Any) -> Iterator[tuple[str, str]]:
    """AOVs whose layer is not called like them."""
    named = [(aov, settings[key]["layer"]) for key, aov in FEATURES.items() if settings.get(key)]
    for each in passes:
        if each["name"] in ("diffuse", "specular"):
            named.append((each["name"], each["input"]["layer"]))
            if each.get("input_variance"):
                named.append((f"{each['name']}_mse", each["input_variance"]["layer"]))
    usual = {"sample_count": "sampleCount"}
    for aov, layer in named:
        if layer != usual.get(aov, aov):
            yield aov, layer


def _aovs(writes: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> tuple[str, ...]:
    """The beauty always, and the components that are written to layers of their own."""
    own = [name for name, read, write in writes if write["layer"] == read["layer"] == name]
    return ("color", *(name for name in COMPONENTS if name in own))


def _extra(
    writes: list[tuple[str, dict[str, Any], dict[str, Any]]],
) -> Iterator[tuple[str, str]]:
    """Layers of a component's pass beside its own, as those of single lights."""
    for name, read, write in writes:
        if name in COMPONENTS and write["layer"] not in (name, *BEAUTY):
            yield read["layer"], name


def _window(topology: str) -> int:
    match = WINDOW.search(Path(topology).name)
    return int(match[1]) if match else 1


def _asymmetry(theirs: float) -> float:
    """0 is symmetric for them, 1 for us; between there is no known relation but our own choice."""
    return float(STRONGEST ** min(max(theirs, 0.0), 1.0))


def _expanded(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _expanded(each, environment) for key, each in value.items()}
    if isinstance(value, list):
        return [_expanded(each, environment) for each in value]
    return Template(value).safe_substitute(environment) if isinstance(value, str) else value


def of_images(pattern: str, folder: Path) -> Batch:
    """Images without a configuration: the files of the same names in a folder."""
    output = str(folder / Path(pattern).name)
    return Batch(pattern, output, None, frozenset(), {}, ("color",), {}, 1, 1.0, False)


def changed(
    found: Batch,
    crossframe: bool = False,
    asymmetry: float | None = None,
    include: str | None = None,
    exclude: str | None = None,
    clean_alpha: bool = False,
) -> Batch:
    """What flags of the command change."""
    changes: dict[str, Any] = {}
    if crossframe:
        changes["window"] = CROSSFRAME
    if asymmetry is not None:
        changes["asymmetry"] = _asymmetry(asymmetry)
    if include:
        changes["include"] = include
    if exclude:
        changes["exclude"] = frozenset(numbers(exclude))
    if clean_alpha:
        changes["aovs"] = (*found.aovs, "alpha")
    return replace(found, **changes)
