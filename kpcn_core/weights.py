"""Weights files: named, hashed, self-describing, loaded strictly, never pickled.

A file is safetensors; its header holds the network's config, a hash of the tensors, and how they
were trained. Files that ship lie in ``kpcn_core/weights/``, which is data and no package.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized
from torch import Tensor

from kpcn_core.atomic import replaced
from kpcn_core.errors import InvalidWeights, UnknownName, UnreadableFile
from kpcn_core.model.config import ModelConfig
from kpcn_core.model.network import Network

FOLDER = Path(__file__).with_name("weights")
SUFFIX = ".safetensors"
FORMAT = "kpcn-1"


def names() -> list[str]:
    """Names of the networks that ship."""
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def find(name: str) -> Path:
    """Path of a network that ships, or of a weights file given by its path."""
    if name in names():
        return FOLDER / f"{name}{SUFFIX}"
    if name.endswith(SUFFIX):
        return Path(name)
    raise UnknownName(
        f"No network is called '{name}'. Shipped: {', '.join(names()) or 'none'}; "
        f"or give the path of a {SUFFIX} file."
    )


def save(path: Path, network: Network, provenance: Mapping[str, str]) -> None:
    """Write a network with its config, its hash and how it was trained; atomic.

    Args:
        path: the file to write or replace.
        network: its parameters are stored in their own precision.
        provenance: what a person wants to know: data, steps, time, device, date, metrics.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in _state(network).items()}
    header = {
        **provenance,
        "format": FORMAT,
        "config": network.config.to_json(),
        "sha256": digest(state),
    }
    with replaced(path, overwrite=True) as temporary:
        temporary.write_bytes(serialized(state, metadata=header))


def load(path: Path) -> Network:
    """Rebuild the network that a weights file describes, in evaluation mode on the CPU.

    Raises:
        UnreadableFile: there is no such file.
        InvalidWeights: it is damaged, or does not match its own description.
    """
    header, state = _read(path)
    if digest(state) != header["sha256"]:
        raise InvalidWeights(
            f"{path}: the tensors do not match the hash in the header: the file is damaged. "
            f"Fetch it again."
        )
    try:
        config = ModelConfig.from_json(header["config"])
        # Without memory of its own: a config that asks for far too much is refused, not built.
        with torch.device("meta"):
            network = Network(config)
        network.load_state_dict(state, strict=True, assign=True)
    except InvalidWeights as error:
        raise InvalidWeights(f"{path}: {error}") from error
    except (OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise InvalidWeights(f"{path}: the tensors do not fit the config: {error}") from error
    return network.eval()


def describe(path: Path) -> dict[str, str]:
    """The header of a weights file: config, hash and provenance."""
    with _opened(path) as file:
        return _header(path, file.metadata())


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors."""
    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].contiguous()
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(tensor.view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _state(network: Network) -> dict[str, Tensor]:
    state: dict[str, Tensor] = network.state_dict()
    return state


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    with _opened(path) as file:
        names = list(file.keys())
        return _header(path, file.metadata()), {name: file.get_tensor(name) for name in names}


def _opened(path: Path) -> safe_open:
    if not path.is_file():
        raise UnreadableFile(f"{path}: no such weights file. Shipped: {', '.join(names())}.")
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise InvalidWeights(f"{path}: not a safetensors file, or damaged: {error}") from error


def _header(path: Path, metadata: dict[str, str] | None) -> dict[str, str]:
    header = metadata or {}
    if header.get("format") != FORMAT or not {"config", "sha256"} <= header.keys():
        raise InvalidWeights(
            f"{path}: expected weights of format '{FORMAT}' with a config and a hash; "
            f"found format '{header.get('format')}'. Was it written by kpcn-train release?"
        )
    return header
