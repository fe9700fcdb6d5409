# The runner that measures in torch.compile (spec.benchmark.engine: torch-compile, torch-compile-cuda): compilers, which
# torch calls for each model. BASE is an image of runner.Dockerfile, or of runner-cuda.Dockerfile for GPUs.
ARG BASE=compression-runner:latest

FROM ${BASE}
USER 0
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    g++ gcc libc6-dev && rm -rf /var/lib/apt/lists/*
# torch includes the headers of Python, and compiles into the folder for temporary files.
RUN ["python", "-c", "import pathlib, sysconfig; assert (pathlib.Path(sysconfig.get_path('include')) / 'Python.h').is_file(), 'BASE has no Python.h'"]
USER 65532:65532
