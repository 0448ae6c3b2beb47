"""A wheel holds everything: it runs without the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

from deploy import bundle
from kpcn_core import exr
from kpcn_core.settings import DEFAULT_MODEL
from tests.shots import Shot, make_shot

PACKAGES = sysconfig.get_path("purelib")
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
OFFLINE = ("unshare", "--user", "--map-root-user", "--net")


def run(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    bundle.copy_source(folder / "source")
    source = str(folder / "source")
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source, cwd=folder)
    (made,) = folder.glob("kpcn-*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel: Path) -> Path:
    """Of an environment with our wheel; what it depends on is lent by the running one."""
    folder = wheel.parent
    venv.create(folder / "env", with_pip=False, symlinks=True)
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    run(*PIP, "install", "--no-deps", "--no-index", "--target", packages, wheel, cwd=folder)
    (packages / "lent.pth").write_text(f"{PACKAGES}\n")
    return folder / "env" / "bin" / "python"


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return make_shot(tmp_path)


def test_the_wheel_runs_without_the_checkout(python: Path, shot: Shot) -> None:
    script = "import kpcn_core, kpcn_core.weights as w; print(kpcn_core.__file__, *w.names())"
    where = run(python, "-P", "-c", script, cwd=shot.folder)
    assert where.startswith(str(python.parent.parent))
    assert DEFAULT_MODEL in where
    source = shot.outputs("noisy")[0]
    run(python, "-P", "-m", "kpcn_core", "denoise", source, "-o", "clean.exr", cwd=shot.folder)
    noisy, clean = exr.read(source), exr.read(shot.folder / "clean.exr")
    assert clean["color"].std() < noisy["color"].std()


@pytest.fixture
def unpacked(wheel: Path, tmp_path: Path) -> Path:
    """A bundle of our wheel alone, as it comes out of its file."""
    folder = tmp_path / "made" / bundle.name()
    (folder / "wheels").mkdir(parents=True)
    shutil.copy(wheel, folder / "wheels")
    bundle.assemble(folder)
    bundle.pack(folder, tmp_path / "bundle.tar")
    with tarfile.open(tmp_path / "bundle.tar") as file:
        file.extractall(tmp_path, filter="data")
    return tmp_path / bundle.name()


def install(unpacked: Path, target: Path) -> "subprocess.CompletedProcess[str]":
    """Run the script without network, if that can be had; the one package it needs is lent."""
    lent = unpacked.parent / "lent"
    lent.mkdir(exist_ok=True)
    if not (lent / "click").exists():
        (lent / "click").symlink_to(Path(PACKAGES) / "click")
    command = [str(unpacked / "install.sh"), str(target), "--no-deps"]
    if subprocess.run([*OFFLINE, "true"], check=False, capture_output=True).returncode == 0:
        command = [*OFFLINE, *command]
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(lent)}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, cwd=unpacked.parent
    )


def test_a_bundle_installs_without_network(unpacked: Path, shot: Shot) -> None:
    target = unpacked.parent / "o p t"
    result = install(unpacked, target)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Installed." in result.stdout
    python = target / "bin" / "python"
    where = run(python, "-P", "-c", "import kpcn_core; print(kpcn_core.__file__)", cwd=shot.folder)
    assert where.startswith(str(target))
    again = install(unpacked, target)
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert python.exists()


def test_a_damaged_bundle_installs_nothing(unpacked: Path) -> None:
    (wheel,) = (unpacked / "wheels").iterdir()
    data = bytearray(wheel.read_bytes())
    data[len(data) // 2] ^= 1
    wheel.write_bytes(data)
    result = install(unpacked, unpacked.parent / "opt")
    assert result.returncode == 1
    assert "missing or damaged" in result.stderr
    assert not (unpacked.parent / "opt").exists()
