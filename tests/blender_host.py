"""A real Blender for the tests of its add-on, which executes what it is sent."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.blender import BLENDER, start

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "plugins" / "blender"
SERVER = Path(__file__).with_name("blender_server.py")
REGISTER = f"""
import sys
sys.path.append({str(PLUGIN)!r})
import kpcn_blender
kpcn_blender.register()
"""


def environment(home: Path) -> dict[str, str]:
    """Of an account of its own, whose workers are ours."""
    paths = {"HOME": home, "XDG_CONFIG_HOME": home, "BLENDER_USER_RESOURCES": home}
    ours = {"KPCN_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    return os.environ | {name: str(path) for name, path in paths.items()} | ours


def run_script(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    """A Blender of its own for code that ends it."""
    script = home / "script.py"
    head = f"import sys\nsys.path.append({str(SERVER.parent)!r})\nimport bpy, blender_scene\n"
    script.write_text(head + REGISTER + textwrap.dedent(code))
    return subprocess.run(
        start(script), env=environment(home), capture_output=True, text=True, check=False
    )


class Blender:
    """One process for many tests.

    Args:
        home: a folder for its settings and its log.
    """

    def __init__(self, home: Path) -> None:
        assert BLENDER
        ours, theirs = os.pipe(), os.pipe()
        self._log = home / "log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                start(SERVER, str(ours[0]), str(theirs[1]), SERVER.parent),
                env=environment(home),
                pass_fds=(ours[0], theirs[1]),
                stdout=log,
                stderr=log,
            )
        os.close(ours[0])
        os.close(theirs[1])
        self._requests, self._answers = os.fdopen(ours[1], "w"), os.fdopen(theirs[0])
        self._read = 0
        self.run(REGISTER)

    def run(self, code: str) -> Any:
        """Execute code; what it leaves in `answer`.

        Raises:
            AssertionError: it raised something.
        """
        self._requests.write(json.dumps(textwrap.dedent(code)) + "\n")
        self._requests.flush()
        line = self._answers.readline()
        assert line, f"Blender ended: {self._log.read_text()}"
        reply = json.loads(line)
        assert "error" not in reply, reply["error"]
        return reply["answer"]

    def log(self) -> str:
        """What it printed since the last call."""
        text = self._log.read_text()[self._read :]
        self._read += len(text)
        return text

    def close(self) -> None:
        """End it."""
        self._requests.close()
        self._answers.close()
        self._process.wait(timeout=60)
