# The operator. Build from the repository's root: docker build -f images/operator.Dockerfile .
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS tools
# pip has its own certificate authorities. Behind a proxy it needs those of the system.
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN --mount=type=bind,source=images/uv.txt,target=/uv.txt \
    python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --quiet --require-hashes --requirement /uv.txt

FROM ${BASE}
RUN --mount=type=bind,from=tools,source=/opt/uv,target=/opt/uv --mount=type=bind,target=/source \
    cd /source && images/install operator
# Some libraries need a user name. The user has no home folder.
RUN echo 'compression:x:65532:65532::/tmp:/usr/sbin/nologin' >>/etc/passwd
ENV PATH=/opt/compression/venv/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["compression-operator"]
CMD ["run"]
