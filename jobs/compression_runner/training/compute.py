"""Where a model learns, and in what numbers."""

from dataclasses import dataclass

import torch

from compressionjob.methods.training import Precision


@dataclass(frozen=True)
class Compute:
    """A device, and the type in which products are computed; weights and the optimizer's state stay float32."""

    device: torch.device
    precision: Precision = "float32"

    @property
    def autocast(self) -> torch.autocast:
        """A new context in which products are computed in this precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    @property
    def gpu(self) -> str | None:
        """CUDA's UUID of the GPU, or of the instance of one; None for a CPU."""
        return str(torch.cuda.get_device_properties(self.device).uuid) if self.device.type == "cuda" else None

    def own_bytes(self) -> int:
        """Memory of the GPU that tensors of this process take, in bytes."""
        return torch.cuda.memory_reserved(self.device) if self.device.type == "cuda" else 0

    def take(self, module: torch.nn.Module) -> None:
        """Moves a model here, in place; weights of convolutions with their channels last, which is faster."""
        module.to(self.device)
        for parameter in module.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


HOST = Compute(torch.device("cpu"))


def fastest(precision: Precision) -> Compute:
    """The pod's GPU where it was given one (torch sees no other), otherwise its CPU."""
    return Compute(torch.device("cuda" if torch.cuda.is_available() else "cpu"), precision)


def bring_home(module: torch.nn.Module) -> None:
    """Moves a model back to the CPU and to plain memory, in place, as whatever reads or stores weights expects it."""
    module.to("cpu")
    for parameter in module.parameters():
        parameter.data = parameter.data.contiguous()
