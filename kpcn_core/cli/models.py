"""`kpcn models`: what ships."""

import click

from kpcn_core import weights

HEADER = ("format", "config", "sha256")


@click.command()
def models() -> None:
    """List the networks that ship, and how they were trained."""
    for name in weights.names():
        header = weights.describe(weights.find(name))
        click.echo(f"{name}  (sha256 {header['sha256'][:12]})")
        click.echo(f"  config: {header['config']}")
        for key, value in header.items():
            if key not in HEADER:
                click.echo(f"  {key}: {value}")
