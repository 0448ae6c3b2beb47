"""The rez package agrees with the wheel."""

import runpy
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def test_the_rez_package_has_the_name_and_version_of_the_wheel() -> None:
    package: dict[str, Any] = runpy.run_path(str(ROOT / "package.py"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert package["version"] == project["version"]
    assert package["name"] == project["name"]
    assert package["description"] == project["description"]
    lowest = project["requires-python"].removeprefix(">=")
    assert package["requires"] == [f"python-{lowest}+"]
