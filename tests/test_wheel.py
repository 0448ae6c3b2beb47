"""A wheel holds everything: it runs without the checkout."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from kpcn_core import exr
from kpcn_core.settings import DEFAULT_MODEL
from tests.shots import Shot, make_shot

ROOT = Path(__file__).parent.parent
PACKAGES = sysconfig.get_path("purelib")


def run(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment with our wheel; what it depends on is lent by the running one."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    # From a copy: setuptools leaves a folder `build` behind, and takes what it finds there.
    for name in ("kpcn_core", "training"):
        shutil.copytree(ROOT / name, folder / "source" / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    source = str(folder / "source")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source, cwd=folder)
    (wheel,) = folder.glob("kpcn-*.whl")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    run(*pip, "install", "--no-deps", "--no-index", "--target", packages, wheel, cwd=folder)
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
