"""Render the public interiors with every renderer, for `benchmarks.quality`.

Mitsuba renders `scene.xml` itself; Cycles and LuxCore render what `benchmarks.interiors` makes of
it, to `cycles/<scene>_<spp>.exr` and `luxcore/<scene>_<spp>.exr` with the renderer's own layers.
Their references are their own, of another random stream. What is there already is kept.

Example:
    python -m benchmarks.interiors_render SCENES renders --renderer cycles --blender PYTHON
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import interiors
from kpcn_core import exr
from training.renderers.program import Program, ProgramScene
from training.scenes import stored

SCENES = ("staircase2", "living-room", "bathroom")
SAMPLES = (8, 32, 4, 16, 64)
REFERENCE, REFERENCE_SEED = "reference", 100000
SIZE = (108, 192)


def render(
    program: Program, stage: Path, output: Path, spp: int, seed: int, size: tuple[int, int]
) -> None:
    """One image of a stored scene, as its renderer writes it."""
    view = ProgramScene(program, 0, size, stage=stage)
    frame = program.render(view.renderer().request(spp, seed))
    exr.write_frame(output, frame)


def main(arguments: Sequence[str] | None = None) -> None:
    """Render what is missing: the fewest samples of every scene first."""
    options = _parser().parse_args(arguments)
    program = _program(options.renderer, options.blender, options.threads)
    folder = options.output / options.renderer
    folder.mkdir(parents=True, exist_ok=True)
    counts = dict(zip(map(str, options.spp), options.spp, strict=True))
    counts |= {REFERENCE: options.reference_spp}
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
                render(program, stage, output, spp, seed, SIZE)
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
    add("--reference-spp", type=int, default=512)
    add("--blender", help="Blender, or a Python that has bpy")
    add("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
