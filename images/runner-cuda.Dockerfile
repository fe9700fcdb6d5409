# The runner on a node with NVIDIA GPUs: the runner's image, whose torch brings the CUDA libraries, told to ask NVIDIA's
# container runtime for the driver. BASE is an image of runner.Dockerfile built without TORCH_INDEX.
ARG BASE=compression-runner:latest

FROM ${BASE}
RUN ["python", "-c", "import torch; assert torch.version.cuda, 'BASE has a torch without CUDA: build it without TORCH_INDEX'"]
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
