"""Open Job Description templates (2023-09, with task chunking): a sequence on a render farm.

A job takes a whole sequence; the farm cuts it into chunks of frames. The frames of a window beyond
a chunk's borders are read and not written, so no border shows.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpcn_core.errors import UnknownName
from kpcn_core.sequence import expand, shots
from kpcn_core.sequence_views import VIEW

SPECIFICATION = "jobtemplate-2023-09"
LONGEST_NAME, LONGEST_TEXT = 128, 1024
MEMORY_MIB = 8192  # a process with its libraries and a tile of 2 GiB, with room to spare
EXECUTABLE = "kpcn"
RERUN = "--resume"  # a task that is run again finds the files of its first run
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class FarmJob:
    """A sequence to denoise on a farm.

    Attributes:
        pattern: the noisy files, see ``sequence.expand``.
        output: the clean files.
        frames: a range; None for all frames on disk.
        chunk: frames that one task denoises.
        options: further arguments of `kpcn denoise`.
        memory: MiB that a machine must have.
        gpu: whether it must have a GPU.
        name: of the job; None for the name of the files.
    """

    pattern: str
    output: str
    frames: str | None = None
    chunk: int = 10
    options: Sequence[str] = ()
    memory: int = MEMORY_MIB
    gpu: bool = False
    name: str | None = None

    def values(self) -> dict[str, str]:
        """The parameters without a default: a template may not say where files lie."""
        paths = {"InputDir": Path(self.pattern), "OutputDir": Path(self.output)}
        return {name: str(path.parent.resolve()) for name, path in paths.items()}

    def bundle_values(self) -> dict[str, Any]:
        """The same as Deadline Cloud reads them beside a template."""
        listed = [{"name": name, "value": value} for name, value in self.values().items()]
        return {"parameterValues": listed}

    def template(self) -> dict[str, Any]:
        """The job template, for `text`; its parameters have defaults, but for `values`.

        Raises:
            MissingFrames: not all frames are there to be denoised.
            UnwritableFile: the outputs cannot be written.
            UnknownName: the range or a pattern is not understood, or cannot be written.
        """
        frames = self._frames()
        return {
            "specificationVersion": SPECIFICATION,
            "extensions": ["TASK_CHUNKING"],
            "name": self._name(),
            "parameterDefinitions": self._parameters(range_text(frames)),
            "jobEnvironments": [{"name": "Progress", "variables": {"KPCN_PROGRESS": "openjd"}}],
            "steps": [
                {
                    "name": "Denoise",
                    "parameterSpace": {"taskParameterDefinitions": [_chunks(frames)]},
                    "hostRequirements": self._requirements(),
                    "script": {"actions": {"onRun": self._action()}},
                }
            ],
        }

    def _frames(self) -> list[int]:
        """The frames to denoise; raises if they cannot be."""
        if VIEW.search(self.pattern):
            raise UnknownName(f"{self.pattern}: write a job for each view, with its name.")
        overwrite = "--overwrite" in self.options
        shots(self.pattern, self.output, self.frames, overwrite=overwrite, resume=True)
        return sorted(number for number, _ in expand(self.pattern, self.frames))

    def _name(self) -> str:
        text = self.name or f"kpcn {Path(self.pattern).name}"
        return _literal(CONTROL.sub(" ", text)[:LONGEST_NAME])

    def _parameters(self, frames: str) -> list[dict[str, Any]]:
        return [
            # Folders are of type PATH, so that a farm can map them; patterns are no paths.
            _folder("InputDir", "IN", "Folder of the noisy files."),
            _text("InputName", Path(self.pattern).name, "Name of the noisy files."),
            _folder("OutputDir", "OUT", "Folder of the clean files."),
            _text("OutputName", Path(self.output).name, "Name of the clean files."),
            _text("Frames", frames, "Frames to denoise."),
            {
                "name": "ChunkSize",
                "type": "INT",
                "default": self.chunk,
                "minValue": 1,
                "description": "Frames that one task denoises.",
            },
            _text("Executable", EXECUTABLE, "The kpcn command on the machines."),
        ]

    def _action(self) -> dict[str, Any]:
        options = [option for option in self.options if option != RERUN]
        return {
            "command": "{{Param.Executable}}",
            "args": [
                "denoise",
                "{{Param.InputDir}}/{{Param.InputName}}",
                "-o",
                "{{Param.OutputDir}}/{{Param.OutputName}}",
                "--frames",
                "{{Task.Param.Frame}}",
                *map(_literal, options),
                RERUN,
            ],
            "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": 10},
        }

    def _requirements(self) -> dict[str, Any]:
        amounts = [{"name": "amount.worker.memory", "min": self.memory}]
        if self.gpu:
            amounts.append({"name": "amount.worker.gpu", "min": 1})
        return {"amounts": amounts}


def text(content: Mapping[str, Any]) -> str:
    """A template or values as JSON, which readers of YAML take too."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def range_text(frames: Sequence[int]) -> str:
    """Ascending numbers as Open Job Description writes them: 1-10,12,20-30:2."""
    parts, rest = [], list(frames)
    while rest:
        step = rest[1] - rest[0] if len(rest) > 1 else 1
        length = 1
        while length < len(rest) and rest[length] - rest[length - 1] == step:
            length += 1
        if length == 2 and step > 1:
            length = 1  # 1,5 and not 1-5:4
        first, last = rest[0], rest[length - 1]
        span = f"{first}-{last}" if length > 1 else f"{first}"
        parts.append(f"{span}:{step}" if length > 1 and step > 1 else span)
        rest = rest[length:]
    return ",".join(parts)


def _chunks(frames: Sequence[int]) -> dict[str, Any]:
    contiguous = len(frames) == frames[-1] - frames[0] + 1
    return {
        "name": "Frame",
        "type": "CHUNK[INT]",
        "range": "{{Param.Frames}}",
        "chunks": {
            "defaultTaskCount": "{{Param.ChunkSize}}",
            "rangeConstraint": "CONTIGUOUS" if contiguous else "NONCONTIGUOUS",
        },
    }


def _folder(name: str, flow: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "PATH",
        "objectType": "DIRECTORY",
        "dataFlow": flow,
        "description": description,
    }


def _text(name: str, default: str, description: str) -> dict[str, Any]:
    if len(default) > LONGEST_TEXT:
        raise UnknownName(
            f"{default[:40]}…: {len(default)} characters; a job's parameter has at most "
            f"{LONGEST_TEXT}. Split the job, or use fewer ranges of frames."
        )
    return {"name": name, "type": "STRING", "default": default, "description": description}


def _literal(value: str) -> str:
    if "{{" in value:
        raise UnknownName(f"{value}: a job cannot hold two braces, which begin an expression.")
    return value
