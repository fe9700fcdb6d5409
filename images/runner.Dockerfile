# The runner. Build from the repository's root: docker build -f images/runner.Dockerfile .
#
# PyPI's torch includes the CUDA libraries (6 GB). For a small image without GPU support, set PyTorch's index of CPU
# builds and the SHA-256 of its wheel: --build-arg TORCH_INDEX=... --build-arg TORCH_SHA256=...
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS build
# pip has its own certificate authorities. Behind a proxy it needs those of the system.
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN --mount=type=bind,source=images/uv.txt,target=/uv.txt \
    python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --quiet --require-hashes --requirement /uv.txt

# zipnn is compiled from C. The compiler stays in this stage.
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    gcc libc6-dev python3-dev
ARG TORCH_INDEX=
ARG TORCH_SHA256=
RUN --mount=type=bind,target=/source \
    cd /source && TORCH_INDEX="${TORCH_INDEX}" TORCH_SHA256="${TORCH_SHA256}" images/install runner

FROM ${BASE}
COPY --from=build /opt/compression /opt/compression
# Some libraries need a user name. The user has no home folder.
RUN echo 'compression:x:65532:65532::/tmp:/usr/sbin/nologin' >>/etc/passwd
ENV PATH=/opt/compression/venv/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["compression-runner"]
CMD ["pod"]
