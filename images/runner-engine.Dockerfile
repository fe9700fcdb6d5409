# The runner with an engine whose torch and transformers are others than the runner's: ENGINE is llm-compressor or
# modelopt, in an environment of its own at /opt/engines/ENGINE, which `backend: ENGINE` looks for. BASE is an image of
# runner.Dockerfile, or of runner-cuda.Dockerfile for nodes with GPUs.
ARG BASE=compression-runner:latest

FROM ${BASE} AS tools
USER 0
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN --mount=type=bind,source=images/uv.txt,target=/uv.txt \
    python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --quiet --require-hashes --requirement /uv.txt

FROM ${BASE}
USER 0
ARG ENGINE
RUN --mount=type=bind,from=tools,source=/opt/uv,target=/opt/uv \
    --mount=type=bind,source=images/engines,target=/source \
    test -f "/source/${ENGINE}.txt" || { echo "build with --build-arg ENGINE=llm-compressor or modelopt" >&2; exit 1; } \
    && /opt/uv/bin/uv venv --quiet "/opt/engines/${ENGINE}" \
    && /opt/uv/bin/uv pip install --quiet --no-cache --python "/opt/engines/${ENGINE}/bin/python" \
       --require-hashes --requirements "/source/${ENGINE}.txt"
USER 65532:65532
