"""`kpcn install`: make a host find its plugin."""

from pathlib import Path

import click

from kpcn_core import install as installation


@click.command()
@click.argument("host", type=click.Choice(list(installation.HOSTS)))
@click.option("--uninstall", is_flag=True, help="Take out what was put in.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="The host's own folder.  [default: the usual one, as ~/.nuke, ~/houdini21.0]",
)
def install(host: str, uninstall: bool, dry_run: bool, home: Path | None) -> None:
    """Make a host find its plugin, and the plugin this Python.

    Nuke gets a few marked lines in its init.py, Houdini a package file in the preferences of each
    of its versions, each Blender an extension; everything else stays as it is. Which Python has
    kpcn is noted in kpcn's config file, for all hosts of this account.

    \b
    Examples:
      kpcn install nuke
      kpcn install houdini --dry-run
      kpcn install nuke --uninstall
    """
    changes = installation.changes(host, home, uninstall)
    for change in changes:
        if dry_run:
            click.echo(str(change))
        else:
            change.apply()
    for line in installation.summary(changes, dry_run):
        click.echo(line)
