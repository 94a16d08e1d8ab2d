"""Ports of a local run: none beyond the loopback interface, and none that serves a stranger."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import apache_beam as beam
import grpc
import pytest
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
)

from bitextile.pipelines.runner.beam import execute
from bitextile.pipelines.runner.options import RunOptions
from listening import family, is_loopback, listening, port_of


def slow_step(root, started: Path, release: Path) -> None:
    def wait(row: int) -> int:
        (started / str(os.getpid())).touch()
        deadline = time.monotonic() + 60
        while not release.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        return row

    _ = root | beam.Create(range(8)) | beam.Reshuffle() | beam.Map(wait)


@pytest.fixture(params=["multi_processing", "multi_threading"])
def running(request, tmp_path):
    """A pipeline with two workers that stands still; gives the sockets that it has opened."""
    before = listening(family())
    started, release = tmp_path / "started", tmp_path / "release"
    started.mkdir()
    failures = []
    beam_options = (f"--direct_running_mode={request.param}", "--direct_num_workers=2")

    def run() -> None:
        try:
            build = lambda root: slow_step(root, started, release)  # noqa: E731
            execute(build, RunOptions(beam=beam_options), input_bytes=1)
        except Exception as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 60
    while not any(started.iterdir()) and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield listening(family()) - before
    finally:
        release.touch()
        thread.join(60)
    assert failures == []


def test_a_run_with_two_workers_listens_on_loopback_alone_and_serves_no_stranger(
    running, tmp_path
) -> None:
    assert running
    assert all(is_loopback(address) for address in running), running
    secret = tmp_path / "secret"
    secret.write_text("for the user alone")
    file = beam_artifact_api_pb2.GetArtifactRequest()
    file.artifact.type_urn = "beam:artifact:type:file:v1"
    file.artifact.type_payload = b"\n" + bytes([len(str(secret))]) + str(secret).encode()
    state = beam_fn_api_pb2.StateRequest(id="1", instruction_id="1")
    answer = beam_fn_api_pb2.InstructionResponse(instruction_id="1")
    refused: dict[str, set] = {}
    for port in map(port_of, running):
        for name in (None, "worker_0", "worker_1"):
            metadata = (("worker_id", name),) if name else ()
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                artifacts = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
                states = beam_fn_api_pb2_grpc.BeamFnStateStub(channel)
                controls = beam_fn_api_pb2_grpc.BeamFnControlStub(channel)
                calls = {
                    "artifact": artifacts.GetArtifact(file, metadata=metadata, timeout=20),
                    "state": states.State(iter([state]), metadata=metadata, timeout=20),
                    "control": controls.Control(iter([answer]), metadata=metadata, timeout=20),
                }
                for service, answers in calls.items():
                    with pytest.raises(grpc.RpcError) as error:
                        list(answers)
                    refused.setdefault(service, set()).add(error.value.code())
    assert set(refused) == {"artifact", "state", "control"}
    assert set.union(*refused.values()) == {grpc.StatusCode.UNAUTHENTICATED}


def test_a_run_leaves_no_port_open_and_beam_as_it_was(tmp_path) -> None:
    from apache_beam.runners.portability.fn_api_runner import worker_handlers

    def handlers() -> dict:
        return dict(worker_handlers.WorkerHandler._registered_environments)

    before, registered = listening(family()), handlers()
    (tmp_path / "release").touch()
    (tmp_path / "started").mkdir()
    build = lambda root: slow_step(root, tmp_path / "started", tmp_path / "release")  # noqa: E731
    execute(build, RunOptions(workers=2), input_bytes=1)
    assert len(list((tmp_path / "started").iterdir())) >= 1
    assert listening(family()) == before
    assert handlers() == registered
    assert worker_handlers.grpc is grpc


def test_a_worker_that_is_killed_ends_the_run_with_an_error(tmp_path) -> None:
    script = """
import os, signal, apache_beam as beam
from bitextile.pipelines.runner.beam import execute
from bitextile.pipelines.runner.options import RunOptions
execute(
    lambda root: root | beam.Create([1, 2]) | beam.Map(lambda row: os.kill(os.getpid(), 9)),
    RunOptions(workers=2), input_bytes=1,
)
"""
    (tmp_path / "killed.py").write_text(script)
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "killed.py")], capture_output=True, text=True, timeout=100
    )
    assert ended.returncode == 1
    assert (
        "a worker process was killed by the system (SIGKILL), most likely because" in ended.stderr
    )
    assert "give fewer --workers" in ended.stderr
