"""What lies in docker/ fits together: with the program, with its documentation, and among itself.

No engine and no cluster is needed. What only they could show is marked in docker/README.md.
"""

import json
import os
import re
import shutil
import subprocess
import tomllib
import urllib.request
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from harness.cyan import PROGRAM
from harness.process import Process, free_port
from mock_llm import MockLlm

from docs.page import ROOT

DOCKER = ROOT / "docker"
CONFIGS = sorted(DOCKER.rglob("*.toml"))
MANIFESTS = [p for p in sorted(DOCKER.rglob("kubernetes/*/*.yaml")) if p.stem != "kustomization"]
KUBERNETES = ["1.29", "1.37"]
"""The oldest with sidecars, and the newest that the schemas are there of."""
KUSTOMIZATIONS = sorted(path.parent for path in DOCKER.rglob("kustomization.yaml"))
METRIC = re.compile(r"\b(?:cyan|gen_ai|process)_[a-z_]+(?=[{[])")


def name_of(path: Path) -> str:
    return str(path.relative_to(DOCKER))


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_a_config_can_be_used(config: Path) -> None:
    environment = os.environ | {"CYAN_ADMIN_TOKEN": "a-token-of-some-length"}
    command = [str(PROGRAM), "check", str(config)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr


def test_each_metric_of_the_board_is_documented() -> None:
    documented = set(re.findall(r"^\| `([a-z_]+)`", (ROOT / "docs/metrics.md").read_text(), re.M))
    board = json.loads((DOCKER / "compose/grafana/boards/cyan.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    used = {re.sub(r"_(bucket|sum|count)$", "", name) for name in METRIC.findall(" ".join(queries))}
    assert len(queries) >= 12
    assert used <= documented, f"not in docs/metrics.md: {sorted(used - documented)}"


def test_compose_names_files_that_exist_and_a_grace_above_the_drain() -> None:
    folder = DOCKER / "compose"
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    services = compose["services"]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (folder / source).exists(), source
        for other in service.get("depends_on", []):
            assert other in services
    config = tomllib.loads((folder / "cyan.toml").read_text())
    assert seconds(services["cyan"]["stop_grace_period"]) > ending_seconds(config)
    token = services["cyan"]["environment"]["CYAN_ADMIN_TOKEN"]
    assert f"credentials: {token}" in (folder / "prometheus.yml").read_text()


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=name_of)
def test_a_pod_has_time_to_end_and_probes_that_exist(folder: Path) -> None:
    (deployment,) = [
        document
        for path in folder.glob("*.yaml")
        for document in yaml.safe_load_all(path.read_text())
        if document["kind"] == "Deployment"
    ]
    pod = deployment["spec"]["template"]["spec"]
    config = tomllib.loads((folder / "cyan.toml").read_text())
    assert pod["terminationGracePeriodSeconds"] > ending_seconds(config)
    (cyan,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in cyan["ports"]}
    assert config["listen"]["http"].endswith(f":{ports['http']}")
    assert config["admin"]["address"].endswith(f":{ports['admin']}")
    for probe, path in (("readiness", "/readyz"), ("liveness", "/livez"), ("startup", "/livez")):
        assert cyan[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "admin"}
    mounted = {mount["name"]: mount["mountPath"] for mount in cyan["volumeMounts"]}
    assert mounted["state"] == config["state_dir"]
    assert {volume["name"] for volume in pod["volumes"]} == mounted.keys()
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=name_of)
def test_a_manifest_has_the_form_that_kubernetes_asks_for(manifest: Path, version: str) -> None:
    """By the schemas that Kubernetes publishes; strict, so that a misspelt field is no field."""
    documents = list(yaml.safe_load_all(manifest.read_text()))
    assert documents
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_field_is_found() -> None:
    text = (DOCKER / "kubernetes/standalone/deployment.yaml").read_text()
    (deployment,) = [d for d in yaml.safe_load_all(text) if d["kind"] == "Deployment"]
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 5
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES[0], strict=True)


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=name_of)
def test_kustomize_can_build_it(folder: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    said = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    documents = list(yaml.safe_load_all(said.stdout))
    assert {"Deployment", "Service", "ConfigMap", "Secret"} <= {d["kind"] for d in documents}


def test_the_units_are_valid(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in ("cyan.service", "cyan.socket"):
        text = (DOCKER / "systemd" / unit).read_text()
        (tmp_path / unit).write_text(text.replace("/usr/local/bin/cyan", str(PROGRAM.resolve())))
    command = ["systemd-analyze", "verify", tmp_path / "cyan.service", tmp_path / "cyan.socket"]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 0 and not said.stderr, said.stderr


def test_the_first_client_of_a_socket_of_systemd_starts_cyan(tmp_path: Path) -> None:
    """The command of docs/how-to/systemd.md."""
    if shutil.which("systemd-socket-activate") is None:
        pytest.skip("systemd-socket-activate is not installed")
    page = (ROOT / "docs/how-to/systemd.md").read_text()
    (shown,) = re.findall(r"^systemd-socket-activate -l (\S+) cyan serve cyan.toml$", page, re.M)
    port, admin = free_port(), free_port()
    config = tmp_path / "cyan.toml"
    with MockLlm("blue", tmp_path) as blue:
        config.write_text(
            f'state_dir = "{tmp_path}/state"\n[listen]\nhttp = "{shown.split(":")[0]}:{port}"\n'
            f'[admin]\naddress = "127.0.0.1:{admin}"\n'
            f'[service.chat.environment.blue]\nupstreams = ["{blue.url}"]\n'
        )
        listen = ["systemd-socket-activate", "-l", f"{shown.split(':')[0]}:{port}"]
        command = [*listen, str(PROGRAM), "serve", str(config)]
        with Process("systemd-socket-activate", command, tmp_path / "activate.log") as activated:
            activated.wait_ready(f"http://127.0.0.1:{port}/health")
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5) as answer:
                assert answer.status == 200


def test_the_image_asks_the_program_what_it_knows() -> None:
    """Verbs in the Dockerfile exist, and the unit waits longer than Cyan drains by default."""
    dockerfile = (DOCKER / "Dockerfile").read_text()
    known = subprocess.run([str(PROGRAM), "--help"], capture_output=True, text=True).stdout
    for verb in ("serve", "healthcheck"):
        assert f'"{verb}"' in dockerfile and f"\n  {verb} " in known
    unit = (DOCKER / "systemd/cyan.service").read_text()
    (stop,) = re.findall(r"^TimeoutStopSec=(\S+)$", unit, re.M)
    assert seconds(stop) > seconds("5m")


def ending_seconds(config: dict) -> float:
    """What Cyan may take from SIGTERM to its end."""
    shutdown = config.get("shutdown", {})
    return seconds(shutdown.get("pre_stop", "0s")) + seconds(shutdown.get("drain", "5m"))


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return float(number) * {"s": 1, "m": 60}[unit]
