# Build:  docker build -t logkeep .
# Run:    docker run --read-only --tmpfs /tmp -v logkeep:/var/lib/logkeep -v ./config.toml:/etc/logkeep/config.toml:ro logkeep
ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS build
WORKDIR /src
RUN python -m venv /opt/logkeep
COPY requirements.lock .
RUN /opt/logkeep/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/logkeep/bin/pip install --no-cache-dir --no-deps .

FROM ${PYTHON}
LABEL org.opencontainers.image.title="logkeep" \
      org.opencontainers.image.description="Keeps the logs that vendors throw away, and proves that none is missing." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --system --gid 8480 logkeep \
 && useradd --system --uid 8480 --gid logkeep --home-dir /var/lib/logkeep --shell /usr/sbin/nologin logkeep \
 && install -d -o logkeep -g logkeep -m 0750 /var/lib/logkeep
COPY --from=build /opt/logkeep /opt/logkeep
ENV PATH=/opt/logkeep/bin:$PATH \
    PYTHONUNBUFFERED=1
USER logkeep
VOLUME /var/lib/logkeep
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8480/livez', timeout=4)"]
ENTRYPOINT ["logkeep"]
CMD ["run"]
