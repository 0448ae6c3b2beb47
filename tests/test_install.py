"""`kpcn install`: what it adds, what it leaves alone, and that it can be undone."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from kpcn_core import client_launch, install, install_blender
from kpcn_core.cli.main import main
from kpcn_core.install import HOSTS
from tests.test_imports import ROOT, host_modules

THEIRS = [
    "",
    "import nuke\nnuke.pluginAddPath('./gizmos')\n",
    "# no newline at the end",
    "import nuke\r\n# Windows\r\n",
    "# caf\udce9, which is no UTF-8\n",
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An account of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "config"))
    monkeypatch.delenv("KPCN_PYTHON", raising=False)
    monkeypatch.delenv("HOUDINI_USER_PREF_DIR", raising=False)
    monkeypatch.delenv("BLENDER_USER_RESOURCES", raising=False)
    return tmp_path


def run(*words: str) -> str:
    result = CliRunner().invoke(main, ["install", *words])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*words: str) -> str:
    result = CliRunner().invoke(main, ["install", *words])
    assert result.exit_code == 1, result.output
    return result.output


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


@pytest.mark.parametrize("theirs", THEIRS)
def test_what_is_there_stays_and_comes_back(home: Path, theirs: str) -> None:
    init = write(home / ".nuke" / "init.py", theirs)
    before = init.read_bytes()
    run("nuke")
    after = init.read_bytes()
    assert after.startswith(before)
    assert f'nuke.pluginAddPath("{(ROOT / "plugins" / "nuke").as_posix()}")'.encode() in after
    compile(after.decode("latin-1"), "init.py", "exec")
    assert (b"\r\n" in after) == (b"\r\n" in before)
    assert "Nothing to change" in run("nuke")
    run("nuke", "--uninstall")
    assert (init.read_bytes() if init.exists() else b"") == before
    assert "Nothing to change" in run("nuke", "--uninstall")


def test_a_home_that_is_not_there_is_made(home: Path) -> None:
    output = run("nuke", "--home", str(home / "studio"))
    assert (home / "studio" / "init.py").exists()
    assert f"changed {home / 'studio' / 'init.py'}" in output
    assert not (home / ".nuke").exists()


def test_the_client_finds_this_python_afterwards(home: Path) -> None:
    note = client_launch.config_path()
    write_note(note, {"cache": "/big", "python": "/gone/python"})
    run("nuke")
    assert json.loads(note.read_text()) == {"cache": "/big", "python": sys.executable}
    assert client_launch.find_python(executable="/opt/Nuke15.1") == sys.executable
    run("nuke", "--uninstall")
    assert json.loads(note.read_text())["python"] == sys.executable  # other hosts use it


def write_note(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))


def test_a_dry_run_shows_all_and_changes_nothing(home: Path) -> None:
    init = write(home / ".nuke" / "init.py", "import nuke\n")
    output = run("nuke", "--dry-run")
    assert "+nuke.pluginAddPath(" in output
    assert f'+  "python": "{sys.executable}"' in output
    assert f"would change {init}" in output
    assert init.read_text() == "import nuke\n"
    assert not client_launch.config_path().exists()


def test_lines_of_an_older_place_are_replaced(home: Path) -> None:
    run("nuke")
    init = home / ".nuke" / "init.py"
    text = init.read_text()
    init.write_text("# before\n" + text.replace("plugins/nuke", "elsewhere") + "# after\n")
    run("nuke")
    assert init.read_text().count("kpcn: begin") == 1
    assert "elsewhere" not in init.read_text()
    run("nuke", "--uninstall")
    assert init.read_text() == "# before\n# after\n"


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (".nuke/init.py", "# kpcn: begin, and no end\n", "without a line '# kpcn: end'"),
        ("config/kpcn/config.json", "{", "cannot be changed"),
        ("config/kpcn/config.json", "[]", "expected an object"),
    ],
)
def test_a_damaged_file_is_refused_and_stays(
    home: Path, file: str, text: str, expected: str
) -> None:
    path = home / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    output = refused("nuke")
    assert str(path) in output
    assert expected in output
    assert path.read_text() == text


def test_a_read_only_file_is_refused(home: Path) -> None:
    init = write(home / ".nuke" / "init.py", "import nuke\n")
    init.chmod(0o444)
    assert "read-only" in refused("nuke")
    assert init.read_text() == "import nuke\n"


def packages(home: Path, *versions: str) -> list[Path]:
    """Preferences of Houdini, and where their packages would be."""
    found = [home / f"houdini{version}" for version in versions]
    for folder in found:
        folder.mkdir()
    return [folder / "packages" / "kpcn.json" for folder in found]


def test_each_houdini_gets_a_package_that_names_the_plugin(home: Path) -> None:
    paths = packages(home, "20.5", "21.0")
    (home / "houdini_things").mkdir()
    run("houdini")
    for path in paths:
        package = json.loads(path.read_text())
        assert package["env"] == [{"KPCN_HOUDINI": (ROOT / "plugins" / "houdini").as_posix()}]
        assert package["hpath"] == "$KPCN_HOUDINI"
    assert "Nothing to change" in run("houdini")
    theirs = write(paths[0].parent / "theirs.json", "{}")
    run("houdini", "--uninstall")
    assert not any(path.exists() for path in paths)
    assert theirs.exists()
    assert "Nothing to change" in run("houdini", "--uninstall")


def test_preferences_may_be_elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUDINI_USER_PREF_DIR", str(home / "prefs" / "h__HVER__"))
    (home / "prefs" / "h21.0").mkdir(parents=True)
    assert f"would change {home / 'prefs' / 'h21.0' / 'packages' / 'kpcn.json'}" in run(
        "houdini", "--dry-run"
    )
    monkeypatch.setenv("HOUDINI_USER_PREF_DIR", str(home / "one"))
    run("houdini")
    assert (home / "one" / "packages" / "kpcn.json").exists()


def test_without_a_houdini_its_home_is_asked_for(home: Path) -> None:
    assert "--home ~/houdini21.0" in refused("houdini")
    run("houdini", "--home", str(home / "houdini21.0"))
    assert (home / "houdini21.0" / "packages" / "kpcn.json").exists()


def test_the_plugins_own_package_and_menus_are_well_formed() -> None:
    folder = ROOT / "plugins" / "houdini"
    package = json.loads((folder / "kpcn.json").read_text())
    assert package["env"] == [{"KPCN_HOUDINI": "$HOUDINI_PACKAGE_PATH"}]
    for path in (folder / "MainMenuCommon.xml", folder / "toolbar" / "kpcn.shelf"):
        for script in ElementTree.parse(path).iter():
            if script.tag in ("script", "scriptCode"):
                compile(script.text or "", path.name, "exec")
    shelf = ElementTree.parse(folder / "toolbar" / "kpcn.shelf").getroot()
    tools = {tool.get("name") for tool in shelf.findall("tool")}
    assert {member.get("name") for member in shelf.iter("memberTool")} == tools


def test_a_host_without_a_plugin_is_unknown() -> None:
    result = CliRunner().invoke(main, ["install", "povray"])
    assert result.exit_code == 2
    assert "'nuke'" in result.output


def packaged() -> dict[str, list[Path]]:
    """Where files go when kpcn is installed."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    return {
        folder: [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
        for folder, patterns in data.items()
    }


def test_the_wheel_has_the_plugins_and_all_that_they_import(tmp_path: Path) -> None:
    for folder, paths in packaged().items():
        for path in paths:
            write_copy(path, tmp_path / folder / path.name)
    plugins = tmp_path / "share" / "kpcn" / "plugins"
    copies = {path.name for path in (plugins / "host" / "kpcn_core").iterdir()}
    assert copies == {"__init__.py", *(path.name for path in host_modules())}
    for host in HOSTS:
        source, copied = (
            {path.relative_to(folder) for path in folder.rglob("*") if path.suffix != ".pyc"}
            for folder in (ROOT / "plugins" / host, plugins / host)
        )
        assert {path for path in source if path.name != "__pycache__"} == copied
    script = f"""
import sys
from unittest.mock import MagicMock
for name in ("nuke", "bpy", "bpy.app", "bpy.app.handlers"):
    sys.modules[name] = MagicMock()  # what they import of us is the question
sys.path += [{str(plugins / "nuke")!r}, {str(plugins / "houdini" / "scripts" / "python")!r}]
sys.path.append({str(plugins / "blender")!r})
import kpcn_nuke, kpcn_husk, kpcn_blender, kpcn_core.client
print(kpcn_core.client.__file__)
"""
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False
    )
    assert run.stdout.startswith(str(plugins / "host")), run.stderr


def write_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def test_an_installed_plugin_is_found_by_pips_own_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = tmp_path / "share" / "kpcn" / "plugins"

    class Entry:
        def __init__(self, *names: str) -> None:
            self.parts = ("..", "..", "share", "kpcn", "plugins", *names)

        def locate(self) -> Path:
            return plugins.joinpath(*self.parts[5:])

    entries = [Entry("nuke", "menu.py"), Entry("blender", "kpcn", "__init__.py")]
    monkeypatch.setattr(install, "__file__", str(tmp_path / "lib" / "kpcn_core" / "install.py"))
    monkeypatch.setattr(install, "files", lambda name: entries)
    assert install.plugin_folder("nuke") == plugins / "nuke"
    assert install.plugin_folder("blender") == plugins / "blender"
    monkeypatch.setattr(install, "files", lambda name: None)
    assert "not installed with kpcn" in refused("nuke")


def test_every_blender_that_is_new_enough_gets_the_extension(home: Path) -> None:
    root = home / "config" / "blender"
    for version in ("2.93", "4.1", "4.2", "5.0", "10.0", "notes.d"):
        (root / version).mkdir(parents=True)
    found = install_blender.versions({"XDG_CONFIG_HOME": str(home / "config")})
    assert [path.name for path in found] == ["4.2", "5.0", "10.0"]
    own = {"BLENDER_USER_RESOURCES": str(home / "own")}
    assert install_blender.versions(own) == [home / "own"]
    run("blender")
    folders = [
        root / one / "extensions" / "user_default" / "kpcn" for one in ("4.2", "5.0", "10.0")
    ]
    plugin = ROOT / "plugins" / "blender"
    manifest = (plugin / "kpcn" / "blender_manifest.toml").read_text()
    for folder in folders:
        assert (folder / "blender_manifest.toml").read_text() == manifest
        assert f'PLUGIN = "{plugin.as_posix()}"' in (folder / "__init__.py").read_text()
    assert "Nothing to change" in run("blender")
    assert not (root / "4.1" / "extensions").exists()
    run("blender", "--uninstall")
    assert not [path for path in root.rglob("*") if path.is_file()]


def test_without_a_blender_its_folder_must_be_named(home: Path) -> None:
    assert "Start Blender once" in refused("blender")
    run("blender", "--uninstall")
    run("blender", "--home", str(home / "blender"))
    assert (home / "blender" / "extensions" / "user_default" / "kpcn" / "__init__.py").exists()
