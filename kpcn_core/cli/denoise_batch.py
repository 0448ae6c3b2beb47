"""`kpcn denoise_batch`: takes the place of RenderMan's command of that name."""

from pathlib import Path
from typing import Any

import click

from kpcn_core import renderman
from kpcn_core.cli.shots import denoise_shots
from kpcn_core.denoiser import DEFAULT_MEMORY, DEFAULT_MODEL
from kpcn_core.renderman import Batch
from kpcn_core.sequence_pattern import Pattern

FILE = click.Path(path_type=Path)
# Field of a batch -> what is lost where this version cannot do it.
