"""`kpcn worker`: the process behind a host."""

import click

from kpcn_core.worker import serve


@click.command()
def worker() -> None:
    """Serve a host over stdin and stdout.

    Plugins for Nuke, Houdini and Blender start this; it is of no use on a terminal. It reads and
    writes JSON-RPC 2.0, one line a message (docs/worker.md), and ends with its host.
    """
    serve()
