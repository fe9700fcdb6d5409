# The runner for nodes with NVIDIA GPUs: the runner's image, whose torch includes the CUDA libraries, with the settings
# for NVIDIA's container runtime to mount the driver. BASE is an image of runner.Dockerfile built without TORCH_INDEX.
ARG BASE=compression-runner:latest

FROM ${BASE}
RUN ["python", "-c", "import torch; assert torch.version.cuda, 'BASE has a torch without CUDA: build it without TORCH_INDEX'"]
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
