# The operator. Build from the repository's root: docker build -f images/operator.Dockerfile .
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS tools
ARG UV_VERSION=0.13.9
# pip brings its own certificate authorities; behind a proxy only the system's know the registry.
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --quiet "uv==${UV_VERSION}"

FROM ${BASE}
RUN --mount=type=bind,from=tools,source=/opt/uv,target=/opt/uv --mount=type=bind,target=/source \
    cd /source && images/install operator
# A user with a name, for libraries that ask for one; no home to write to.
RUN echo 'compression:x:65532:65532::/tmp:/usr/sbin/nologin' >>/etc/passwd
ENV PATH=/opt/compression/venv/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["compression-operator"]
CMD ["run"]
