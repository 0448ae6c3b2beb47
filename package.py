"""A rez package (https://rez.readthedocs.io): build it with `rez build --install`."""

name = "kpcn"
version = "0.1.0"
description = "Open kernel-predicting denoiser for film rendering (Vogels et al. 2018)"
tools = ["kpcn"]
requires = ["python-3.11+"]

# An environment of its own: no host's Python ever sees our torch, and we see no other package's.
build_command = (
    "python -m venv {install_path}/env"
    " && {install_path}/env/bin/pip install --quiet -c {root}/constraints.txt {root}"
)


def commands():
    """Put the command on the PATH, and tell plug-ins which Python has kpcn (docs/worker.md)."""
    env.PATH.append("{root}/env/bin")  # noqa: F821 - rez gives `env`
    env.KPCN_PYTHON = "{root}/env/bin/python"  # noqa: F821
