# The runner with llm-compressor, whose torch and transformers are others than the runner's: in an environment of its own
# at /opt/engines/llm-compressor, which `backend: llm-compressor` looks for. BASE is an image of runner.Dockerfile, or of
# runner-cuda.Dockerfile for nodes with GPUs.
ARG BASE=compression-runner:latest

FROM ${BASE} AS tools
USER 0
ARG UV_VERSION=0.13.9
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --quiet "uv==${UV_VERSION}"

FROM ${BASE}
USER 0
RUN --mount=type=bind,from=tools,source=/opt/uv,target=/opt/uv \
    --mount=type=bind,source=images/engines,target=/source \
    /opt/uv/bin/uv venv --quiet /opt/engines/llm-compressor \
    && /opt/uv/bin/uv pip install --quiet --no-cache --python /opt/engines/llm-compressor/bin/python \
       --requirements /source/llm-compressor.txt
USER 65532:65532
