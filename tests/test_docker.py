"""What can be checked of docker/ without a docker engine: that its files agree with the project."""

import fnmatch
import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "docker"
DOCKERFILES = ["worker.Dockerfile", "trainer.Dockerfile"]


def instructions(name: str) -> list[tuple[str, str]]:
    """Instruction and arguments of each logical line, with the ARG defaults filled in."""
    lines = re.sub(r"^#.*\n", "", (DOCKER / name).read_text(), flags=re.M)
    lines = re.sub(r"\\\n", " ", lines)
    found = [tuple(line.split(maxsplit=1)) for line in lines.splitlines() if line.strip()]
    defaults = dict(value.split("=") for word, value in found if word == "ARG")
    return [
        (word, re.sub(r"\$\{(\w+)\}", lambda m: defaults.get(m[1], m[0]), rest))
        for word, rest in found
    ]


def constraint(package: str) -> str:
    text = (ROOT / "constraints.txt").read_text()
    return re.search(rf"^{re.escape(package)}==(.+)$", text, re.M)[1]


@pytest.fixture
def compose() -> dict:
    return yaml.safe_load((DOCKER / "compose.flink.yaml").read_text())


def test_every_beam_is_the_one_of_the_constraints(compose):
    beam = constraint("apache-beam")
    images = [rest for word, rest in instructions("worker.Dockerfile") if word == "FROM"]
    assert f"apache/beam_python3.11_sdk:{beam} AS beam" in images
    assert compose["services"]["jobserver"]["image"].endswith(f":{beam}")
    readme = (DOCKER / "README.md").read_text()
    assert set(re.findall(r"\b2\.\d\d\.\d\b", readme)) == {beam}


def test_flink_job_server_and_readme_name_one_version_that_beam_publishes(compose):
    options = pytest.importorskip("apache_beam.options.pipeline_options")
    services = compose["services"]
    version = re.fullmatch(r"flink:(\d+\.\d+)-java\d+", services["jobmanager"]["image"])[1]
    assert version in options.FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    assert services["taskmanager"]["image"] == services["jobmanager"]["image"]
    assert f"beam_flink{version}_job_server:" in services["jobserver"]["image"]
    assert f"--flink_version={version}" in (DOCKER / "README.md").read_text()


def test_python_is_one_minor_version_that_the_project_takes(compose):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in DOCKERFILES:
        images = [rest for word, rest in instructions(name) if word == "FROM"]
        pythons = [re.search(r"python:(\S+)-slim", image)[1] for image in images if ":3" in image]
        assert set(pythons) == {"3.11"}
    assert project["requires-python"] == ">=3.11"
    launcher = [rest for word, rest in instructions("worker.Dockerfile") if "launcher-base" in rest]
    assert "python311-template-launcher-base" in launcher[0]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_is_copied_is_there_and_not_ignored(name):
    stages: set[str] = set()
    allowed = {
        line.removeprefix("!")
        for line in (DOCKER / f"{name}.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for word, rest in instructions(name):
        if word == "FROM":
            stages.update(re.findall(r" AS (\w+)$", rest))
        if word != "COPY":
            continue
        *sources, _ = rest.split()
        if sources[0].startswith("--from="):
            assert sources[0].removeprefix("--from=") in stages
            continue
        for source in sources:
            assert (ROOT / source).exists()
            assert any(fnmatch.fnmatch(source, pattern) for pattern in allowed)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_extras_installed_are_extras_of_the_project(name):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = set(extras["optional-dependencies"])
    runs = " ".join(rest for word, rest in instructions(name) if word == "RUN")
    installed = re.findall(r'whl\)\[([\w,]+)\]"', runs)
    assert installed
    assert {extra for group in installed for extra in group.split(",")} <= known
    assert "torch" not in runs
    assert runs.count("-c /tmp/constraints.txt") == len(installed) == runs.count("pip check")


def test_the_wheel_is_built_from_all_that_the_project_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {package.split("/")[0] for package in packages}
    needed |= {project["project"]["readme"], *project["project"]["license-files"]}
    for name in DOCKERFILES:
        copied = {s for word, rest in instructions(name) if word == "COPY" for s in rest.split()}
        assert needed <= copied


def test_images_start_what_they_are_for():
    worker = instructions("worker.Dockerfile")
    assert ("ENTRYPOINT", '["/opt/apache/beam/boot"]') in worker
    assert any("RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1" in rest for _, rest in worker)
    trainer = instructions("trainer.Dockerfile")
    assert ("ENTRYPOINT", '["bitextile"]') in trainer
    assert ("USER", "trainer") in trainer


def test_the_cluster_hangs_together(compose):
    services = compose["services"]
    assert services["workers"]["network_mode"] == "service:taskmanager"
    assert services["workers"]["command"] == "--worker_pool"
    staging = services["jobserver"]["command"][-1].removeprefix("--artifacts-dir=")
    for name in ("jobmanager", "taskmanager", "jobserver"):
        assert f"staging:{staging}" in services[name]["volumes"]
    assert "staging" in compose["volumes"]
    assert services["workers"]["volumes"] == services["bitextile"]["volumes"]
    assert services["workers"]["image"] == services["bitextile"]["image"]
    for service in services.values():
        assert set(service.get("depends_on", [])) <= set(services)
    build = services["workers"]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).resolve().is_file()
    stages = [rest for word, rest in instructions("worker.Dockerfile") if word == "FROM"]
    assert any(stage.endswith(f" AS {build['target']}") for stage in stages)
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.fixture
def flex_template():
    pytest.importorskip("typer")
    spec = importlib.util.spec_from_file_location("flex_template", DOCKER / "flex_template.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_template_parameters_are_those_of_the_launcher_entry(flex_template):
    metadata = json.loads((DOCKER / "flex_template_metadata.json").read_text())
    assert {"name", "description", "parameters"} == set(metadata)
    fields = {"name", "label", "helpText", "isOptional", "regexes"}
    for parameter in metadata["parameters"]:
        assert {"name", "label", "helpText"} <= set(parameter) <= fields
        assert all(re.compile(regex) for regex in parameter.get("regexes", []))
    required = [p["name"] for p in metadata["parameters"] if not p.get("isOptional")]
    assert required == ["command", "input", "out"]
    commands = metadata["parameters"][0]["regexes"][0]
    assert re.fullmatch(r"\^\((.*)\)\$", commands)[1].split("|") == list(flex_template.COMMANDS)


def test_template_verbs_are_verbs_of_the_command_line(flex_template):
    from typer.main import get_command

    from bitextile.pipelines.cli.main import COMMANDS, build_app

    commands = get_command(build_app(COMMANDS)).commands
    for command in flex_template.COMMANDS:
        names = [parameter.name for parameter in commands[command].params]
        assert names[0] in ("pairs", "aligned", "dataset")
        assert "out" in names


def test_parameters_become_one_call(flex_template):
    given = ["--command=exchange", "--input=gs://b/a", "--out=gs://b/x"]
    given += ["--arguments=--rate 0.3 --seed 7"]
    beam = ["--runner=DataflowRunner", "--template_location=gs://b/t.json", "--job_name=j"]
    line, template = flex_template.command(given + beam)
    assert line == [
        *("exchange", "gs://b/a", "--out", "gs://b/x", "--rate", "0.3", "--seed", "7"),
        *("--", *beam),
    ]
    assert template == "gs://b/t.json"
    for wrong in (["--command=run"], ["--command=align", "--input=x"]):
        with pytest.raises(SystemExit):
            flex_template.command(wrong)


def test_a_described_job_is_a_success_and_nothing_else_is(flex_template, monkeypatch, tmp_path):
    template = tmp_path / "job.json"
    given = ["--command=align", "--input=a", "--out=b", f"--template_location={template}"]

    def fail(line):
        raise SystemExit(1)

    monkeypatch.setattr(flex_template.cli, "main", fail)
    with pytest.raises(SystemExit):
        flex_template.main(given)
    template.write_text("{}")
    flex_template.main(given)
    with pytest.raises(SystemExit):
        flex_template.main(given[:-1])


def test_the_readme_says_that_nothing_was_built():
    readme = (DOCKER / "README.md").read_text()
    assert "Not built" in readme
    for path in DOCKER.iterdir():
        if path.is_file() and path.suffix in (".Dockerfile", ".yaml", ".json", ".py"):
            assert path.name in readme
