# The runner. Build from the repository's root: docker build -f images/runner.Dockerfile .
#
# PyPI's torch brings the CUDA libraries: 6 GB. For a small image that never sees a GPU, name PyTorch's index of CPU
# builds: --build-arg TORCH_INDEX=...
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG UV_VERSION=0.13.9
# pip brings its own certificate authorities; behind a proxy only the system's know the registry.
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --quiet "uv==${UV_VERSION}"

# zipnn comes as C: its compiler stays in this stage.
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    gcc libc6-dev python3-dev
ARG TORCH_INDEX=
RUN --mount=type=bind,target=/source cd /source && TORCH_INDEX="${TORCH_INDEX}" images/install runner

FROM ${BASE}
COPY --from=build /opt/compression /opt/compression
# A user with a name, for libraries that ask for one; no home to write to.
RUN echo 'compression:x:65532:65532::/tmp:/usr/sbin/nologin' >>/etc/passwd
ENV PATH=/opt/compression/venv/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["compression-runner"]
CMD ["pod"]
