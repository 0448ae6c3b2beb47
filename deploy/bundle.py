"""One file from which kpcn installs on a machine without network.

    python -m deploy.bundle [--extras report,flow] [--output DIR]        (or: make bundle)

Makes it for the Python and the kind of machine that it runs on, with the packages of
constraints.txt; networks and sources are in kpcn's own wheel, plug-ins too. On the other machine:

    tar xf kpcn-….tar && kpcn-…/install.sh /opt/kpcn
"""

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from kpcn_core import __version__
from kpcn_core.atomic import check_writable, replaced

ROOT = Path(__file__).parent.parent
SCRIPT = Path(__file__).with_name("install.sh")
SOURCE = ("kpcn_core", "training", "plugins", "pyproject.toml", "README.md", "LICENSE")


def copy_source(folder: Path) -> None:
    """Copy what a wheel is made of; in the checkout, setuptools would leave a folder `build`.

    And would take what it finds in there.
    """
    folder.mkdir()
    for name in SOURCE:
        if (ROOT / name).is_dir():
            junk = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=junk)
        else:
            shutil.copy(ROOT / name, folder)


def wheels(folder: Path, extras: str = "") -> None:
    """Fetch or build the wheels of kpcn and of all that it depends on.

    Args:
        folder: where they go.
        extras: of kpcn, separated by commas.
    """
    constraints = ROOT / "constraints.txt"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "kpcn"
        copy_source(source)
        asked = f"{source}[{extras}]" if extras else str(source)
        command: list[str | Path] = [
            *pip,
            "wheel",
            "--wheel-dir",
            folder,
            "--constraint",
            constraints,
            asked,
        ]
        subprocess.run(command, check=True)


def assemble(folder: Path, extras: str = "") -> None:
    """Add to a folder with `wheels` what installs them, and the hash of every file.

    Args:
        folder: has a folder `wheels`.
        extras: of kpcn, that are to be installed.
    """
    asked = f"kpcn[{extras}]=={__version__}" if extras else f"kpcn=={__version__}"
    script = SCRIPT.read_text(encoding="utf-8")
    script = script.replace("@PYTHON@", ".".join(platform.python_version_tuple()[:2]))
    install = folder / "install.sh"
    install.write_text(script.replace("@REQUIREMENT@", asked), encoding="utf-8")
    install.chmod(0o755)
    paths = [install, *sorted((folder / "wheels").iterdir())]
    sums = [f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in paths]
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")


def pack(folder: Path, target: Path) -> None:
    """Write a folder as a tar file. Wheels are compressed already."""
    with replaced(target, overwrite=True) as temporary, tarfile.open(temporary, "w") as file:
        file.add(folder, folder.name)


def name() -> str:
    """Of the bundle: version, Python and machine."""
    python = "".join(platform.python_version_tuple()[:2])
    return f"kpcn-{__version__}-cp{python}-{sys.platform}-{platform.machine()}"


def main() -> None:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--extras", default="", help="of kpcn, e.g. report,flow,mitsuba")
    parser.add_argument("--output", type=Path, default=Path("dist"), help="folder of the bundle")
    asked = parser.parse_args()
    target = asked.output / f"{name()}.tar"
    check_writable(target, overwrite=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name()
        wheels(folder / "wheels", asked.extras)
        assemble(folder, asked.extras)
        pack(folder, target)
    print(f"{target}: {target.stat().st_size / 2**20:.0f} MiB")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
