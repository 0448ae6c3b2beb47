"""Render the public interiors with every renderer, for `benchmarks.quality`.

Mitsuba renders `scene.xml` itself; Cycles and LuxCore render what `benchmarks.interiors` makes of
it, to `cycles/<scene>_<spp>.exr` and `luxcore/<scene>_<spp>.exr` with the renderer's own layers.
With `--renders 4` an image of Cycles is rendered in four parts of its samples, which are merged as
`kpcn merge` does, in `cycles-merged/`. Their references are their own, of another random stream.
What is there already is kept.

Example:
    python -m benchmarks.interiors_render SCENES renders --renderer cycles --blender PYTHON
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import interiors
from kpcn_core import exr
from kpcn_core.renderers.batched import with_spread
from kpcn_core.renderers.rendered import accumulated
from training.renderers.program import Program, ProgramScene
from training.scenes import stored

SCENES = ("staircase2", "living-room", "bathroom")
SAMPLES = (8, 32, 4, 16, 64)
REFERENCE, REFERENCE_SEED = "reference", 100000
SIZE = (108, 192)


def render(
    program: Program, stage: Path, output: Path, spp: int, seed: int, renders: int = 1
) -> None:
    """One image of a stored scene, as its renderer writes it; or that of some renders, merged."""
    view = ProgramScene(program, 0, SIZE, stage=stage).renderer()
    length = spp // renders
    parts = [[first, spp] for first in range(0, spp, length)]
    frames = [program.render({**view.request(length, seed), "part": part}) for part in parts]
    if renders == 1:
        exr.write_frame(output, frames[0])
        return
    counts = np.full(SIZE, length, np.uint32)
    exr.write_frame(output, with_spread(accumulated(frame, counts) for frame in frames).frame())


def main(arguments: Sequence[str] | None = None) -> None:
    """Render what is missing: the fewest samples of every scene first."""
    parser = _parser()
    options = parser.parse_args(arguments)
    counts = dict(zip(map(str, options.spp), options.spp, strict=True))
    counts |= {REFERENCE: options.reference_spp}
    if options.renders > 1 and options.renderer != "cycles":
        parser.error("--renders: only Cycles renders a part of a sequence of samples")
    if any(spp % options.renders for spp in counts.values()):
        parser.error(f"--renders {options.renders} must divide every number of samples")
    program = _program(options.renderer, options.blender, options.threads)
    folder = options.output / (options.renderer + ("-merged" if options.renders > 1 else ""))
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="kpcn-") as temporary:
        for scene in options.scenes:
            stage = Path(temporary) / f"{scene}.npz"
            for name, spp in counts.items():
                output = folder / f"{scene}_{name}.exr"
                if output.exists():
                    continue
                if not stage.exists():
                    stored.save(stage, interiors.read(options.folder / scene / "scene.xml"))
                seed = REFERENCE_SEED if name == REFERENCE else spp
                render(program, stage, output, spp, seed, options.renders)
                print(output, flush=True)
    program.close()


def _program(renderer: str, blender: str | None, threads: int) -> Program:
    from training.renderers import cycles, luxcore

    if renderer == cycles.NAME:
        return cycles.program(blender, threads)
    return luxcore.program(threads)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("folder", type=Path, help="holds SCENE/scene.xml")
    add("output", type=Path)
    add("--renderer", choices=("cycles", "luxcore"), required=True)
    add("--scenes", nargs="+", default=SCENES)
    add("--spp", nargs="+", type=int, default=SAMPLES)
    add("--renders", type=int, default=1, help="parts that an image of Cycles is merged of")
    add("--reference-spp", type=int, default=512)
    add("--blender", help="Blender, or a Python that has bpy")
    add("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
