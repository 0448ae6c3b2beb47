"""`python -m kpcn_core` is `kpcn`."""

from kpcn_core.cli.main import main

main(prog_name="kpcn")
