"""`kpcn export`: the network for programs that run networks themselves."""

from pathlib import Path

import click
import torch

from kpcn_core import __version__
from kpcn_core.cli.adaptive_options import PixelSize
from kpcn_core.provenance import weights_name
from kpcn_core.settings import DEFAULT_MODEL

# Among what needs no variances, the one that leaves least error; so the one most renders can have.
DEFAULT_ENCODER = "split"

model_option = click.option(
    "--model", default=DEFAULT_MODEL, show_default=True, help="A network's name, or its file."
)
encoder_option = click.option(
    "--encoder",
    default=DEFAULT_ENCODER,
    show_default=True,
    help="Says which layers are needed; `kpcn models` lists them.",
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace existing files.")


@click.group()
def export() -> None:
    """Write the network for programs that run networks themselves, single frames only."""


@export.command()
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write; its name becomes the gizmo's.",
)
@model_option
@encoder_option
@overwrite_option
def nuke(output: Path, model: str, encoder: str, overwrite: bool) -> None:
    """Write a Cattery folder for Nuke's Inference node: λ as a knob, live in the viewer.

    NukeX then makes the .cat files, by the script in the folder (docs/nuke.md).

    \b
    Example:
      kpcn export nuke -o ~/.nuke/Cattery/KpcnLive
      Nuke15.1 --nukex -i --gpu 0 --safe ~/.nuke/Cattery/KpcnLive/build_cat.py
    """
    from kpcn_core.export import cattery

    for path in cattery.export(output, model, encoder, overwrite):
        click.echo(str(path))


@export.command()
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, as kpcn.onnx.",
)
@click.option(
    "--size", required=True, type=PixelSize(), help="Of the images, in pixels: 1920x1080."
)
@click.option("--bottom-up", is_flag=True, help="The first row of an image is its lowest.")
@model_option
@encoder_option
@overwrite_option
def houdini(
    output: Path,
    size: tuple[int, int],
    bottom_up: bool,
    model: str,
    encoder: str,
    overwrite: bool,
) -> None:
    """Write ONNX for Houdini's ONNX COP: an input for each layer, and one for λ.

    \b
    Example:
      kpcn export houdini -o kpcn.onnx --size 1920x1080
    """
    from kpcn_core.export import onnx

    module = onnx.OnnxDenoiser.load(model, encoder, bottom_up)
    about = {
        "kpcn": __version__,
        "torch": torch.__version__,
        "network": weights_name(model),
        "encoder": encoder,
        "rows": "bottom up" if bottom_up else "top down",
    }
    height, width = size
    onnx.save(output, module, height, width, about, overwrite)
    click.echo(str(output))
