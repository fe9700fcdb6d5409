# The runner that measures on NVIDIA GPUs (spec.benchmark.engine: onnxruntime-cuda): onnxruntime-gpu in the place of
# onnxruntime. CUDA and cuDNN are those of torch. BASE is an image of runner-cuda.Dockerfile.
#
# It is an image of its own because no onnxruntime-gpu of the locked version of onnxruntime is published: stages would
# get other checkpoints than in the other images. For onnxruntime-tensorrt, add TensorRT's libraries to this image.
ARG BASE=compression-runner:latest

FROM ${BASE} AS tools
USER 0
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN --mount=type=bind,source=images/uv.txt,target=/uv.txt \
    python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --quiet --require-hashes --requirement /uv.txt

FROM ${BASE}
USER 0
# Both packages have the same files: the old one must go first.
RUN --mount=type=bind,from=tools,source=/opt/uv,target=/opt/uv \
    --mount=type=bind,source=images/onnxruntime-gpu.txt,target=/onnxruntime-gpu.txt \
    /opt/uv/bin/uv pip uninstall --quiet --python /opt/compression/venv/bin/python onnxruntime \
    && /opt/uv/bin/uv pip install --quiet --no-cache --compile-bytecode --python /opt/compression/venv/bin/python \
       --no-deps --require-hashes --requirements /onnxruntime-gpu.txt
# A machine that builds images may have no driver, without which a provider need not load.
RUN ["python", "-c", "import onnxruntime; open(onnxruntime.__path__[0] + '/capi/libonnxruntime_providers_cuda.so').close()"]
USER 65532:65532
