# The image of one Jac app, run by `jac-converge serve`.
#
#     docker build --build-arg APP_DIR=examples/todo --build-arg APP_FILE=todo.jac -t todo:1 .
#
# Health is the orchestrator's to ask: /healthz/live and /healthz/ready.

ARG PYTHON=python:3.12-slim-bookworm

FROM ${PYTHON} AS install
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY jac_converge jac_converge
COPY app_runtime app_runtime
COPY config config
COPY reconciler reconciler
# A pod serves; it needs neither the cluster's client nor a terminal's table.
RUN python -m venv /opt/jac \
    && /opt/jac/bin/pip install --no-cache-dir --no-compile . \
    && /opt/jac/bin/pip uninstall --yes kubernetes rich \
    && /opt/jac/bin/python -m compileall -q /opt/jac/lib

FROM ${PYTHON}
ARG APP_DIR
ARG APP_FILE
ENV HOME=/home/jac \
    PATH=/opt/jac/bin:$PATH \
    PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --create-home --home-dir /home/jac --shell /usr/sbin/nologin jac
COPY --from=install /opt/jac /opt/jac
COPY --chown=10001:10001 ${APP_DIR} /app
WORKDIR /app
# A script, because an exec form knows no variables; it replaces itself, so SIGTERM arrives.
RUN printf '#!/bin/sh\nexec jac-converge serve "/app/%s" "$@"\n' "${APP_FILE}" > /usr/local/bin/serve \
    && chmod 0755 /usr/local/bin/serve
USER 10001:10001
# Compiled once, here, at its final path and by its final user: a pod starts with a read-only root.
RUN serve --check
EXPOSE 8000
ENTRYPOINT ["/usr/local/bin/serve"]
CMD ["--host", "0.0.0.0", "--port", "8000"]
