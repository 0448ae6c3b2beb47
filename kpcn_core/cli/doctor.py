"""`kpcn doctor`: what works here, what is missing, and how to mend it."""

import click

from kpcn_core.errors import KpcnError


@click.command()
def doctor() -> None:
    """Look at this machine: GPU, driver, networks, files, hosts and optional packages.

    Nothing leaves the machine. The exit code is 1 if something that is needed is broken.

    \b
    Example:
      kpcn doctor > report.txt
    """
    try:
        from kpcn_core.doctor import findings
        from kpcn_core.doctor_finding import BAD
    except (ImportError, OSError) as error:
        raise KpcnError(
            f"A package that kpcn needs cannot be imported: {error}. Install kpcn again, into a "
            f"new environment: python -m venv ENV && ENV/bin/pip install kpcn"
        ) from error
    broken = 0
    for finding in findings():
        broken += finding.state == BAD
        click.echo(f"{finding.state:>3}  {finding.name:24} {finding.text}")
        if finding.mend:
            click.echo(f"{'':30}{finding.mend}")
    if broken:
        raise KpcnError(f"{broken} things that are needed are broken; see above.")
