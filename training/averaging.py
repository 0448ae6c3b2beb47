"""Weights between those of a network and what further training made of it.

Along that line the error is often smaller than at both ends, since the steps of training also lead
back and forth (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
"""

import json
from datetime import date
from pathlib import Path

import torch

from kpcn_core import weights
from training.errors import InvalidConfig
from training.start import origin

KEPT = ("views", "data_sha256", "data_licence", "data_recipe", "licence")


def average(before: Path, after: Path, output: Path, share: float, command: str) -> dict[str, str]:
    """Write the weights between two files; give the provenance that went with them.

    Args:
        before: the weights that a training started from.
        after: what came of it, of the same network.
        output: the weights file to write or replace.
        share: of `after`, 0 to 1.
        command: to tell others.

    Raises:
        InvalidConfig: they are two different networks.
    """
    network, other = weights.load(before), weights.load(after)
    if network.config != other.config:
        raise InvalidConfig(
            f"{after}: its network is {other.config}; that of {before} is {network.config}. "
            f"Average a network with what was trained from it."
        )
    first, second = network.state_dict(), other.state_dict()
    network.load_state_dict({name: torch.lerp(first[name], second[name], share) for name in first})
    header = weights.describe(after)
    last = origin(after)
    # A file of before starts were recorded.
    last.setdefault("start", origin(before))
    provenance = {
        **{key: header[key] for key in KEPT if key in header},
        "stage": "average",
        "date": date.today().isoformat(),
        "steps": "0",
        "samples_seen": "0",
        "device": "cpu",
        "training_command": command,
        "averaged": json.dumps({last["sha256"]: share, origin(before)["sha256"]: 1 - share}),
        "start": json.dumps(last, sort_keys=True),
    }  # fmt: skip
    weights.save(output, network, provenance)
    return provenance
