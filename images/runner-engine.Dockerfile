# The runner with an engine that needs other versions of torch and transformers. ENGINE is llm-compressor, modelopt or vllm.
# It has its own environment at /opt/engines/ENGINE, which `backend: ENGINE` or `engine: ENGINE` uses. The lock files are
# complete, so nothing is resolved: vLLM's build for CPUs pins a build of torch that package registries lack. BASE is an image of runner.Dockerfile, or
# of runner-cuda.Dockerfile for nodes with GPUs.
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
    test -f "/source/${ENGINE}.txt" || { echo "build with --build-arg ENGINE=llm-compressor, modelopt or vllm" >&2; exit 1; } \
    && /opt/uv/bin/uv venv --quiet "/opt/engines/${ENGINE}" \
    && /opt/uv/bin/uv pip install --quiet --no-cache --python "/opt/engines/${ENGINE}/bin/python" \
       --no-deps --require-hashes --requirements "/source/${ENGINE}.txt"
# ENGINE.packages lists Debian packages with libraries that the engine's compiled modules need.
RUN --mount=type=bind,source=images/engines,target=/source \
    test ! -f "/source/${ENGINE}.packages" \
    || { apt-get update -qq \
         && DEBIAN_FRONTEND=noninteractive xargs apt-get install -y -qq --no-install-recommends <"/source/${ENGINE}.packages" \
         && rm -rf /var/lib/apt/lists/* \
         && python3 /source/check_libraries.py "/opt/engines/${ENGINE}" "${ENGINE}"; }
USER 65532:65532
