"""Which device computes. Chosen once, at the edge."""

import torch

from kpcn_core.errors import UnknownName


def choose_device(name: str = "auto") -> torch.device:
    """A device that works: "auto" takes the first CUDA device if there is one, else the CPU.

    Raises:
        UnknownName: the device does not exist on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UnknownName(
            f"--device {name}: this machine has no such device ({reason}). Use auto, cpu or cuda:N."
        ) from error
    return device
