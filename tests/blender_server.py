"""Runs in Blender, for `blender_host.Blender`: executes the code that it is sent, a text a line.

What the code leaves in `answer` is the answer. Arguments: two file descriptors, and a folder with
modules.
"""

import json
import os
import sys
import traceback
from typing import Any

import bpy

reading, writing, folder = sys.argv[-3:]
sys.path.append(folder)

with os.fdopen(int(reading)) as requests, os.fdopen(int(writing), "w") as answers:
    for line in requests:
        scope: dict[str, Any] = {"bpy": bpy, "answer": None}
        try:
            exec(json.loads(line), scope)
            reply = {"answer": scope["answer"]}
        except Exception:
            reply = {"error": traceback.format_exc()}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()
