# Build:  docker build -t logkeep .
# Run:    docker run --read-only --tmpfs /tmp -v logkeep:/var/lib/logkeep -v /etc/logkeep:/etc/logkeep:ro logkeep
# PYTHON is any image with CPython 3.11 or newer as `python`, the venv module, CA certificates and time zones.
ARG PYTHON=python:3.11-slim

# The wheel. Its build backend is locked as well: --require-hashes refuses whatever the lock does not name.
FROM ${PYTHON} AS wheel
WORKDIR /src
RUN python -m venv /opt/build
COPY requirements-dev.lock .
RUN sed -n -E '/^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/,/[^\\]$/p' requirements-dev.lock > build.lock \
 && /opt/build/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r build.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

# The environment. Binary packages only, so no compiler is ever needed; what installed them goes in the end.
FROM ${PYTHON} AS environment
WORKDIR /src
RUN python -m venv /opt/logkeep
COPY requirements.lock .
RUN /opt/logkeep/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements.lock
COPY --from=wheel /wheels /wheels
RUN /opt/logkeep/bin/pip install --no-cache-dir --no-deps /wheels/*.whl \
 && /opt/logkeep/bin/pip check \
 && /opt/logkeep/bin/pip uninstall --yes setuptools pip

FROM ${PYTHON}
# 8480 is what volumes and secrets are given to; the home folder is the one place that it can write.
RUN groupadd --gid 8480 logkeep \
 && useradd --uid 8480 --gid 8480 --no-log-init --no-create-home --home-dir /var/lib/logkeep --shell /usr/sbin/nologin logkeep \
 && install -d -m 0755 /etc/logkeep \
 && install -d -o 8480 -g 8480 -m 0750 /var/lib/logkeep
COPY --from=environment /opt/logkeep /opt/logkeep
ENV PATH=/opt/logkeep/bin:$PATH \
    PYTHONUNBUFFERED=1
ARG PYTHON
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="logkeep" \
      org.opencontainers.image.description="Archives vendor logs that would otherwise be thrown away, and proves that none is missing." \
      org.opencontainers.image.authors="The logkeep authors" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${PYTHON}"
# By number: Kubernetes cannot tell of a name that it is not root.
USER 8480:8480
VOLUME /var/lib/logkeep
EXPOSE 8480
STOPSIGNAL SIGTERM
# A bare socket costs less than half of what an HTTP library does, every half minute; localhost is 127.0.0.1 and ::1.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-ISc", "import socket; s = socket.create_connection(('localhost', 8480), 4); s.sendall(b'GET /livez HTTP/1.1\\r\\nHost: localhost:8480\\r\\nConnection: close\\r\\n\\r\\n'); raise SystemExit(b' 200 ' not in s.recv(64))"]
ENTRYPOINT ["logkeep"]
CMD ["run"]
