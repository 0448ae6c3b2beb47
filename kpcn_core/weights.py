"""Weights files: named, hashed, self-describing, loaded strictly, never pickled.

A file is safetensors; its header holds the network's config, a hash of the tensors, and how they
were trained. Files that ship lie in ``kpcn_core/weights/``, which is data and no package.

NAME-error.safetensors beside the weights of a network holds the predictor of its errors (paper §5).
"""

import hashlib
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized
from torch import Tensor

from kpcn_core.atomic import replaced
from kpcn_core.errors import InvalidWeights, UnknownName, UnreadableFile
from kpcn_core.model.config import ModelConfig
from kpcn_core.model.error import ErrorPredictor
from kpcn_core.model.error_config import ErrorConfig
from kpcn_core.model.network import Network

FOLDER = Path(__file__).with_name("weights")
SUFFIX = ".safetensors"
FORMAT = "kpcn-1"
PREDICTOR_FORMAT = "kpcn-error-1"
PREDICTOR = "-error"  # follows the name of the network whose errors are predicted

Built = TypeVar("Built", Network, ErrorPredictor)


def names() -> list[str]:
    """Names of the networks that ship."""
    found = (path.stem for path in FOLDER.glob(f"*{SUFFIX}"))
    return sorted(name for name in found if not name.endswith(PREDICTOR))


def find(name: str) -> Path:
    """Path of weights that ship, or of a weights file given by its path."""
    shipped = FOLDER / f"{name}{SUFFIX}"
    if shipped.is_file():
        return shipped
    if name.endswith(SUFFIX):
        return Path(name)
    raise UnknownName(
        f"No network is called '{name}'. Shipped: {', '.join(names()) or 'none'}; "
        f"or give the path of a {SUFFIX} file."
    )


def predictor_of(path: Path) -> Path | None:
    """The file with the error predictor of a network's file, if there is one."""
    beside = path.with_stem(path.stem + PREDICTOR)
    return beside if beside.is_file() else None


def save(path: Path, network: Network | ErrorPredictor, provenance: Mapping[str, str]) -> None:
    """Write a network, or an error predictor, with its config, hash and training; atomic.

    Args:
        path: the file to write or replace.
        network: its parameters are stored in their own precision.
        provenance: what a person wants to know: data, steps, time, device, date, metrics.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in _state(network).items()}
    header = {
        **provenance,
        "format": FORMAT if isinstance(network, Network) else PREDICTOR_FORMAT,
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
    return _built(path, FORMAT, lambda text: Network(ModelConfig.from_json(text)))


def load_predictor(path: Path) -> ErrorPredictor:
    """The same for the error predictor that a file describes; errors as of `load`."""
    return _built(path, PREDICTOR_FORMAT, lambda text: ErrorPredictor(ErrorConfig.from_json(text)))


def describe(path: Path) -> dict[str, str]:
    """The header of a weights file, of either kind: config, hash and provenance."""
    with _opened(path) as file:
        return _header(path, file.metadata(), FORMAT, PREDICTOR_FORMAT)


def size(path: Path) -> int:
    """How many numbers a weights file holds; errors as of `load`."""
    with _opened(path) as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors."""
    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].contiguous()
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(tensor.view(-1).view(torch.uint8).cpu().numpy().tobytes())
    return total.hexdigest()


def _built(path: Path, kind: str, build: Callable[[str], Built]) -> Built:
    """The module of a config, with the tensors of a file of that kind."""
    header, state = _read(path, kind)
    if digest(state) != header["sha256"]:
        raise InvalidWeights(
            f"{path}: the tensors do not match the hash in the header: the file is damaged. "
            f"Fetch it again."
        )
    try:
        # Without memory of its own: a config that asks for far too much is refused, not built.
        with torch.device("meta"):
            network = build(header["config"])
        network.load_state_dict(state, strict=True, assign=True)
    except InvalidWeights as error:
        raise InvalidWeights(f"{path}: {error}") from error
    except (OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise InvalidWeights(f"{path}: the tensors do not fit the config: {error}") from error
    return network.eval()


def _state(network: Network | ErrorPredictor) -> dict[str, Tensor]:
    state: dict[str, Tensor] = network.state_dict()
    return state


def _read(path: Path, kind: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    with _opened(path) as file:
        names = list(file.keys())
        header = _header(path, file.metadata(), kind)
        return header, {name: file.get_tensor(name) for name in names}


def _opened(path: Path) -> safe_open:
    if not path.is_file():
        raise UnreadableFile(f"{path}: no such weights file. Shipped: {', '.join(names())}.")
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise InvalidWeights(f"{path}: not a safetensors file, or damaged: {error}") from error


def _header(path: Path, metadata: dict[str, str] | None, *kinds: str) -> dict[str, str]:
    header = metadata or {}
    if header.get("format") not in kinds or not {"config", "sha256"} <= header.keys():
        raise InvalidWeights(
            f"{path}: expected weights of format '{kinds[0]}' with a config and a hash; "
            f"found format '{header.get('format')}'. Was it written by kpcn-train release?"
        )
    return header
