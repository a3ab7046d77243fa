# Three images: `eagle-logger`; `tables`, which can also make day tables (pyarrow, 150 MB more); and `stand-ins`, which can also
# play Amazon's SNS and SQS.
# What is installed is pinned, with hashes, in docker/*.lock (`make lock`); nothing is compiled.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all: PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/eagle-logger
COPY docker/requirements.lock ./
RUN pip --python /opt/eagle-logger install --require-hashes -r requirements.lock

FROM packages AS wheel
COPY docker/requirements-build.lock ./
RUN python -m venv --without-pip /opt/tools \
  && pip --python /opt/tools install --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md beat_schedule.py ./
COPY eagle_logger eagle_logger
COPY workers workers
RUN /opt/tools/bin/python -m hatchling build -t wheel -d /wheel

FROM packages AS system
COPY --from=wheel /wheel /wheel
RUN pip --python /opt/eagle-logger install --no-deps /wheel/*.whl

FROM packages AS system-with-tables
COPY docker/requirements-tables.lock ./
RUN pip --python /opt/eagle-logger install --require-hashes -r requirements-tables.lock
COPY --from=wheel /wheel /wheel
RUN pip --python /opt/eagle-logger install --no-deps /wheel/*.whl

FROM packages AS system-with-stand-ins
COPY docker/requirements-stand-ins.lock ./
RUN pip --python /opt/eagle-logger install --require-hashes -r requirements-stand-ins.lock
COPY --from=wheel /wheel /wheel
RUN pip --python /opt/eagle-logger install --no-deps /wheel/*.whl

FROM ${PYTHON_IMAGE} AS base
# Volumes take over the owner of the directory they are mounted on when they are new.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin eagle \
  && install -d -o eagle -g eagle /data /secrets /redis /redis-data /flower /grafana /simulator /objects \
    /handed-out/worker /handed-out/bridge /handed-out/redis-only /handed-out/flower /handed-out/grafana
ENV PATH=/opt/eagle-logger/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
  EAGLE_DATA_DIR=/data EAGLE_SECRETS_DIR=/secrets
WORKDIR /data
COPY docker/*.py docker/redis.conf /opt/docker/
USER eagle

FROM base AS stand-ins
COPY --from=system-with-stand-ins /opt/eagle-logger /opt/eagle-logger

FROM base AS tables
COPY --from=system-with-tables /opt/eagle-logger /opt/eagle-logger
CMD ["eagle-logger", "--help"]

FROM base AS eagle-logger
COPY --from=system /opt/eagle-logger /opt/eagle-logger
CMD ["eagle-logger", "--help"]
