"""Renders scenes with Cycles on request; runs in Blender's own Python.

Imports bpy, numpy, the standard library, and of ours only what needs nothing else. Started by
`cycles.py`. Each line of the standard input is a request, a JSON object: {"seed", "stage",
"height", "width", "time", "reach", "spp", "stream", "threads", "output"}; the scene is that of the
seed, or of the file "stage" if one is named. With "part": [FIRST, TOTAL] the samples are those from
FIRST on of a sequence of TOTAL. It is answered by a line once the EXR is there. The
end of the input, so also the end of whoever asks, ends the program.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

# At the end: Blender's own packages come first.
sys.path.append(str(Path(__file__).resolve().parents[2]))

import bpy

from training.renderers.cycles_scene import Settings, build, render


def main() -> None:
    """Answer every request."""
    # Blender prints as it likes: answers go to what was the standard output, all else to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _answer(answers, {"renderer": f"cycles {bpy.app.version_string}"})
    built: Settings | None = None
    for line in sys.stdin:
        request = json.loads(line)
        settings = Settings(
            request["seed"],
            (request["height"], request["width"]),
            request["reach"],
            request["stage"],
        )
        if settings != built:
            build(settings)
            built = settings
        render(request)
        _answer(answers, {"done": request["output"]})


def _answer(answers: Any, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


main()
