"""`kpcn models`: what ships."""

from pathlib import Path

import click

from kpcn_core import weights

HEADER = ("format", "config", "sha256")


@click.command()
def models() -> None:
    """List the networks that ship, and how they were trained."""
    for name in weights.names():
        path = weights.find(name)
        _tell(path)
        beside = weights.predictor_of(path)
        if beside is not None:
            _tell(beside, weights.describe(path)["sha256"])


def _tell(path: Path, denoiser: str | None = None) -> None:
    """What a file says of itself; of a predictor, also whether it learned from this denoiser."""
    header = weights.describe(path)
    click.echo(f"{path.stem}  (sha256 {header['sha256'][:12]})")
    if denoiser not in (None, header.get("denoiser_sha256")):
        click.echo("  of an earlier denoiser: trained with other weights than those beside it")
    click.echo(f"  config: {header['config']}")
    for key, value in header.items():
        if key not in HEADER:
            click.echo(f"  {key}: {value}")
