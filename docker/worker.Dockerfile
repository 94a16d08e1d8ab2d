# syntax=docker/dockerfile:1
# The Beam worker image and, as its stage `dataflow`, the same with a Flex Template launcher.
# Build from the repository root; docker/README.md says how each is used.
#
# The version of Beam here, in constraints.txt and on the submitting machine must be one and the
# same: tests/test_docker.py holds the first two together.
ARG BEAM_VERSION=2.77.0
ARG PYTHON_VERSION=3.11

FROM apache/beam_python${PYTHON_VERSION}_sdk:${BEAM_VERSION} AS beam
FROM gcr.io/dataflow-templates-base/python311-template-launcher-base:latest AS launcher

FROM python:${PYTHON_VERSION}-slim AS wheel
WORKDIR /build
COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY pipelines pipelines
COPY transforms transforms
COPY trainer trainer
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON_VERSION}-slim AS worker
COPY --from=beam /opt/apache/beam /opt/apache/beam
COPY constraints.txt /tmp/constraints.txt
COPY --from=wheel /wheels /wheels
# Editable lines are no constraints; pip refuses them.
RUN sed -i '/^-e /d' /tmp/constraints.txt \
 && pip install --no-cache-dir -c /tmp/constraints.txt "$(ls /wheels/*.whl)[beam,segment]" \
 && pip check \
 && rm /tmp/constraints.txt
# Our code is in this image, so no worker builds an environment of its own; with that and numba's
# cache under /tmp, nothing outside /tmp is written and any user id will do: compose.flink.yaml
# runs it as the caller. The image itself names no user, for Dataflow mounts its staging folder
# for root, as Beam's own images have it.
ENV RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1 \
    NUMBA_CACHE_DIR=/tmp/numba \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["/opt/apache/beam/boot"]

FROM worker AS dataflow
COPY constraints.txt /tmp/constraints.txt
RUN sed -i '/^-e /d' /tmp/constraints.txt \
 && pip install --no-cache-dir -c /tmp/constraints.txt "$(ls /wheels/*.whl)[beam,gcp,segment]" \
 && pip check \
 && rm /tmp/constraints.txt
COPY --from=launcher /opt/google/dataflow/python_template_launcher /opt/google/dataflow/python_template_launcher
COPY docker/flex_template.py /opt/bitextile/flex_template.py
# The launcher reads this; as a worker, the image starts by the entry point of the stage above.
ENV FLEX_TEMPLATE_PYTHON_PY_FILE=/opt/bitextile/flex_template.py
