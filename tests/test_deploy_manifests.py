"""The compose file and the Kubernetes manifests agree with the image, with the program and with their page."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from logkeep import __version__
from logkeep.config import DEFAULT_CONFIG, DaemonSettings, StorageSettings
from logkeep.vendors.settings import load_settings

from config_text import write_config

ROOT = Path(__file__).parent.parent
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
PAGE = (ROOT / "docs" / "install-container.md").read_text(encoding="utf-8")
USER = 8480
PORT = 8480
STORAGE = str(StorageSettings().path)
SETTINGS = str(DEFAULT_CONFIG.parent)
DRAIN_S = DaemonSettings().drain.total_seconds()
SPARE_S = 15
LABEL = {"app.kubernetes.io/name": "logkeep"}


def compose() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    return tree


def manifest(kind: str) -> dict[str, Any]:
    trees = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in MANIFESTS]
    (found,) = [tree for tree in trees if tree["kind"] == kind]
    return dict(found)


def pod() -> dict[str, Any]:
    return dict(manifest("StatefulSet")["spec"]["template"]["spec"])


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    return dict(found)


def test_the_image_is_named_by_the_program_s_version() -> None:
    assert compose()["services"]["logkeep"]["image"] == container()["image"] == f"logkeep:{__version__}"


# --- compose


def test_compose_takes_every_right_that_is_not_needed() -> None:
    service = compose()["services"]["logkeep"]
    assert (service["user"], service["read_only"], service["cap_drop"]) == (f"{USER}:{USER}", True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]  # noqa: S108 - the container's own
    assert "privileged" not in service


def test_compose_keeps_the_archive_and_reads_the_settings_where_the_image_does() -> None:
    tree = compose()
    service = tree["services"]["logkeep"]
    volume, _, where = service["volumes"][0].partition(":")
    assert (where, volume in tree["volumes"]) == (STORAGE, True)
    targets = [entry["target"] for kind in ("configs", "secrets") for entry in service[kind]]
    assert {str(Path(target).parent) for target in targets} == {SETTINGS}
    for kind in ("configs", "secrets"):
        assert {entry["source"] for entry in service[kind]} == set(tree[kind])
    files = {file["file"] for kind in ("configs", "secrets") for file in tree[kind].values()}
    assert {Path(file).name for file in files} == {Path(target).name for target in targets}
    assert (ROOT / "deploy" / service["build"]["context"] / "Dockerfile").resolve() == ROOT / "Dockerfile"


def test_compose_shows_the_port_to_this_machine_only_and_waits_for_the_drain() -> None:
    service = compose()["services"]["logkeep"]
    assert service["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert int(service["stop_grace_period"].removesuffix("s")) >= DRAIN_S + SPARE_S


# --- Kubernetes


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_is_one_named_and_labelled_object(path: Path) -> None:
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert path.stem == tree["kind"].lower()
    assert (tree["metadata"]["name"], tree["metadata"]["labels"]) == ("logkeep", LABEL)


def test_the_pod_takes_every_right_that_is_not_needed() -> None:
    security = pod()["securityContext"]
    assert security["runAsNonRoot"] is True
    assert {security[key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {USER}
    assert security["fsGroupChangePolicy"] == "OnRootMismatch", "else every start opens the catalog to the group"
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod()["automountServiceAccountToken"] is False


def test_one_pod_keeps_a_storage_that_outlives_it() -> None:
    spec = manifest("StatefulSet")["spec"]
    assert spec["replicas"] == 1
    (claim,) = spec["volumeClaimTemplates"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container()["volumeMounts"]}
    assert mounts[STORAGE] == claim["metadata"]["name"]
    assert mounts.keys() == {STORAGE, SETTINGS, "/tmp"}  # noqa: S108 - the container's own
    volumes = {volume["name"] for volume in pod()["volumes"]} | {claim["metadata"]["name"]}
    assert set(mounts.values()) == volumes


def test_a_probe_asks_what_the_web_endpoint_answers() -> None:
    asked = {name: probe["httpGet"] for name, probe in container().items() if name.endswith("Probe")}
    paths = {name: get["path"] for name, get in asked.items()}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    (port,) = container()["ports"]
    assert port["containerPort"] == PORT
    assert {get["port"] for get in asked.values()} == {port["name"]}


def test_the_pod_is_given_longer_than_its_drain_to_stop() -> None:
    assert pod()["terminationGracePeriodSeconds"] >= DRAIN_S + SPARE_S


def test_the_service_and_the_policy_mean_the_pod() -> None:
    spec = manifest("StatefulSet")["spec"]
    assert spec["template"]["metadata"]["labels"] == spec["selector"]["matchLabels"] == LABEL
    service, policy = manifest("Service")["spec"], manifest("NetworkPolicy")["spec"]
    assert service["selector"] == policy["podSelector"]["matchLabels"] == LABEL
    assert manifest("Service")["metadata"]["name"] == spec["serviceName"]
    assert [port["port"] for port in service["ports"]] == [PORT]
    (way_in,) = policy["ingress"]
    assert [port["port"] for port in way_in["ports"]] == [container()["ports"][0]["name"]]


def test_the_policy_lets_names_and_https_out_and_nothing_private() -> None:
    policy = manifest("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [{port["port"] for port in way["ports"]} for way in policy["egress"]] == [{53}, {443}]
    blocks = [to["ipBlock"] for to in policy["egress"][1]["to"]]
    assert {block["cidr"] for block in blocks} == {"0.0.0.0/0", "::/0"}
    kept_out = {network for block in blocks for network in block["except"]}
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"} <= kept_out


def settings_texts() -> list[str]:
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [manifest("ConfigMap")["data"]["config.toml"], shown]


@pytest.mark.parametrize("text", settings_texts(), ids=["configmap", "page"])
def test_the_settings_are_valid_and_find_every_secret_beside_them(text: str, tmp_path: Path) -> None:
    """Exactly the files that the Secret and the compose file put there."""
    secrets = manifest("Secret")["stringData"]
    for name, content in secrets.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        (tmp_path / name).chmod(0o640)
    settings = load_settings(write_config(tmp_path, text), {})
    assert str(settings.storage.path) == STORAGE
    assert settings.pan123[0].client_secret.get_secret_value() == secrets["pan123.main.client_secret"]
    assert settings.web.token_file == tmp_path / "web-token"
    assert str(settings.web.listen) == f"0.0.0.0:{PORT}", "a probe comes from outside the pod"
    service = compose()["services"]["logkeep"]
    assert {Path(secret["target"]).name for secret in service["secrets"]} == set(secrets)


def test_settings_and_secrets_become_files_in_one_folder() -> None:
    (volume,) = [volume["projected"] for volume in pod()["volumes"] if "projected" in volume]
    assert volume["defaultMode"] == 0o440
    named = [source[kind]["name"] for source in volume["sources"] for kind in source]
    assert named == [manifest("ConfigMap")["metadata"]["name"], manifest("Secret")["metadata"]["name"]]
    assert set(manifest("ConfigMap")["data"]) == {DEFAULT_CONFIG.name}


def test_the_page_s_secret_has_the_keys_of_the_manifest() -> None:
    (line,) = re.findall(r"^kubectl create secret .*$", PAGE, re.MULTILINE)
    files = {word.partition("=")[2] for word in shlex.split(line) if word.startswith("--from-file")}
    assert files == set(manifest("Secret")["stringData"])
