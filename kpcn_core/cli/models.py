"""`kpcn models`: what ships."""

from pathlib import Path

import click

from kpcn_core import model_card, weights

HEADER = ("format", "config", "sha256")


@click.command()
@click.option("--all", "everything", is_flag=True, help="Everything that the files say.")
def models(everything: bool) -> None:
    """List the networks that ship, and how they were trained.

    The cards in docs/models.md also have what was measured, and known failures.
    """
    for name in weights.names():
        path = weights.find(name)
        _tell(path, everything)
        beside = weights.predictor_of(path)
        if beside is None:
            continue
        _tell(beside, everything)
        denoiser = weights.describe(path)["sha256"]
        if weights.describe(beside).get("denoiser_sha256") != denoiser:
            click.echo("  of an earlier denoiser: trained with other weights than those beside it")


def _tell(path: Path, everything: bool) -> None:
    for line in model_card.essentials(path):
        click.echo(line)
    if everything:
        header = weights.describe(path)
        click.echo(f"  config: {header['config']}")
        for key, value in header.items():
            if key not in HEADER:
                click.echo(f"  {key}: {value}")
