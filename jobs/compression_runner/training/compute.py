"""The device and the numeric precision of a training."""

from dataclasses import dataclass

import torch

from compressionjob.methods.training import Precision


@dataclass(frozen=True)
class Compute:
    """A device, and the type of matrix products; weights and the optimizer state stay float32."""

    device: torch.device
    precision: Precision = "float32"

    @property
    def autocast(self) -> torch.autocast:
        """A new autocast context in this precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    @property
    def gpu(self) -> str | None:
        """CUDA's UUID of the GPU or MIG instance; None for a CPU."""
        return str(torch.cuda.get_device_properties(self.device).uuid) if self.device.type == "cuda" else None

    def own_bytes(self) -> int:
        """Return the GPU memory that this process reserves for tensors, in bytes."""
        return torch.cuda.memory_reserved(self.device) if self.device.type == "cuda" else 0

    def move(self, module: torch.nn.Module) -> None:
        """Move a model to this device, in place; weights of convolutions with channels last, which is faster."""
        module.to(self.device)
        for parameter in module.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


HOST = Compute(torch.device("cpu"))


def fastest(precision: Precision) -> Compute:
    """Return the GPU of the pod if it has one, otherwise its CPU."""
    return Compute(torch.device("cuda" if torch.cuda.is_available() else "cpu"), precision)


def move_to_cpu(module: torch.nn.Module) -> None:
    """Move a model to the CPU and to contiguous memory, in place, as code that reads or stores weights expects."""
    module.to("cpu")
    for parameter in module.parameters():
        parameter.data = parameter.data.contiguous()
