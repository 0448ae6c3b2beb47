"""Which device computes, and in which precision. Chosen once, at the edge."""

import torch

from kpcn_core.errors import UnknownName

# Of features; kernels and images are always float32. All have the range of float32 but float16.
PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
AUTO = "auto"


def choose_device(name: str = AUTO) -> torch.device:
    """A device that works: "auto" takes the first CUDA device if there is one, else the CPU.

    Raises:
        UnknownName: the device does not exist on this machine.
    """
    if name == AUTO:
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


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """What features are computed in: "auto" is bfloat16 on a GPU that has it, else float32.

    On a CPU, the others are there to measure what they lose; they take longer.

    Raises:
        UnknownName: there is no such precision, or not on this device.
    """
    if name == AUTO:
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    if name not in PRECISIONS:
        raise UnknownName(
            f"--precision {name}: there is no such precision. Use {AUTO}, {', '.join(PRECISIONS)}."
        )
    if name == "bfloat16" and device.type == "cuda" and not _multiplies_bfloat16(device):
        raise UnknownName(
            f"--precision bfloat16: {torch.cuda.get_device_name(device)} does not multiply such "
            f"numbers; GPUs since compute capability 8.0 do. Use float16 or float32."
        )
    return PRECISIONS[name]


def _multiplies_bfloat16(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
