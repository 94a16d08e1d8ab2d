# syntax=docker/dockerfile:1
# The trainer: `bitextile pretrain`, `finetune`, `evaluate`. Build from the repository root.
#
# No CUDA base image: the torch wheel for Linux brings the CUDA libraries it was built with, and the
# driver comes from the host (NVIDIA Container Toolkit, `docker run --gpus all`). On a machine
# without a GPU the same image trains on the CPU.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS wheel
WORKDIR /build
COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY pipelines pipelines
COPY transforms transforms
COPY trainer trainer
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON_VERSION}-slim
COPY constraints.txt /tmp/constraints.txt
COPY --from=wheel /wheels /wheels
RUN sed -i '/^-e /d' /tmp/constraints.txt \
 && pip install --no-cache-dir -c /tmp/constraints.txt "$(ls /wheels/*.whl)[train,report,segment]" \
 && pip check \
 && rm /tmp/constraints.txt
RUN useradd --create-home --uid 1000 trainer
USER trainer
WORKDIR /home/trainer
# Models and tokenizers are local folders; nothing is looked up on the network.
ENV HF_HUB_OFFLINE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONUNBUFFERED=1
ENTRYPOINT ["bitextile"]
CMD ["--help"]
