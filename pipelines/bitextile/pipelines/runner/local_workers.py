"""Worker processes of the local runner, which nothing but this run can reach.

Beam's local runner talks to its workers by gRPC, on ports that it opens on all interfaces and where
anyone may call: a caller could read any file of the user (Beam's artifact service) or answer in a
worker's place, with pickles that the runner loads. Here the ports are on the loopback interface,
and a call is served only if it carries the name of a worker, which holds 128 random bits and which
the worker learns from its environment.
"""

import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from apache_beam.portability import python_urns
from apache_beam.portability.api import endpoints_pb2
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from google.protobuf import json_format, text_format

from bitextile.pipelines.runner import worker
from bitextile.schema.endings import how_it_ended
from bitextile.schema.errors import BitextileError

LOOPBACK = "127.0.0.1"
"""Where workers and runner meet. The number, not `localhost`: that name may mean ::1 too, where
another user could listen on the same port."""

_MAX_WORKERS = 1 << 20


@contextmanager
def closed_ports() -> Iterator[None]:
    """Lets the local runner open ports for its own workers alone; not for two runs at once."""
    kept = dict(worker_handlers.WorkerHandler._registered_environments)
    counter = worker_handlers.WorkerHandler._worker_id_counter
    # Beam numbers its workers from here: worker_<first + 1>, worker_<first + 2>, ...
    first = secrets.randbits(128)
    worker_handlers.WorkerHandler._worker_id_counter = first
    worker_handlers.WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)(
        LocalWorker
    )
    worker_handlers.grpc = _Grpc(_WorkersOnly(first))
    try:
        yield
    finally:
        worker_handlers.grpc = grpc
        worker_handlers.WorkerHandler._registered_environments = kept
        worker_handlers.WorkerHandler._worker_id_counter = counter


class LocalWorker(worker_handlers.GrpcWorkerHandler):
    """A worker process on this machine.

    Beam's own starts it through a shell and opens a port more for each worker's log.
    """

    def __init__(self, command: bytes, state: Any, provision_info: Any, grpc_server: Any) -> None:
        """Takes what Beam gives; the command is not used, as it is Beam's own."""
        super().__init__(state, provision_info, grpc_server)
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Thread(target=self._wait, daemon=True)

    def host_from_worker(self) -> str:
        """Returns the host of the runner's ports."""
        return LOOPBACK

    def start_worker(self) -> None:
        """Starts the process."""
        given = {
            "CONTROL_API_SERVICE_DESCRIPTOR": _text(self.control_api_service_descriptor()),
            "LOGGING_API_SERVICE_DESCRIPTOR": _text(self.logging_api_service_descriptor()),
            "PIPELINE_OPTIONS": json_format.MessageToJson(
                self.provision_info.provision_info.pipeline_options
            ),
            # In the environment, which other users cannot read; a command line they can.
            "WORKER_ID": self.worker_id,
        }
        command = [sys.executable, "-m", worker.__name__, str(os.getpid())]
        self._process = subprocess.Popen(command, env=os.environ | given)
        self._ended.start()

    def stop_worker(self) -> None:
        """Waits for the process, which ends when the runner has closed its connection."""
        self._ended.join()

    def _wait(self) -> None:
        if self._process is not None and (code := self._process.wait()):
            # Else the runner would wait for its answer for ever.
            self.control_conn.abort(
                BitextileError(f"a worker process {how_it_ended(code)}; give fewer --workers")
            )


def _text(descriptor: endpoints_pb2.ApiServiceDescriptor) -> str:
    return str(text_format.MessageToString(descriptor))


class _Grpc:
    """The module `grpc` as Beam's runner sees it: its servers listen on the loopback interface."""

    def __init__(self, guard: grpc.ServerInterceptor) -> None:
        self._guard = guard

    def __getattr__(self, name: str) -> Any:
        return getattr(grpc, name)

    def server(self, *args: Any, **options: Any) -> "_Server":
        return _Server(grpc.server(*args, interceptors=(self._guard,), **options))


class _Server:
    def __init__(self, server: grpc.Server) -> None:
        self._server = server

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def add_insecure_port(self, address: str) -> int:
        # Whatever interface Beam names, only its port is taken.
        return int(self._server.add_insecure_port(f"{LOOPBACK}:{address.rpartition(':')[2]}"))


class _WorkersOnly(grpc.ServerInterceptor):
    """Refuses a call that does not name a worker of this run."""

    def __init__(self, first: int) -> None:
        self._first = first

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        name = str(dict(details.invocation_metadata).get("worker_id", ""))
        number = name.removeprefix("worker_")
        known = number.isdecimal() and 0 < int(number) - self._first < _MAX_WORKERS
        return continuation(details) if known else grpc.unary_unary_rpc_method_handler(_refuse)


def _refuse(request: Any, context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "not a worker of this run")
