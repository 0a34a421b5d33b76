"""The Dockerfile, built as it stands and run as its user on a read-only root, against the simulated vendor.

The base image is Debian's smallest with CPython 3.11 instead of ``python:3.11-slim``, because no registry is asked; the
build needs Debian's mirror and a package index. What has to be there and is not, is printed, and skips; where ``CI`` is
set it fails.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from container_image import PIP_FOLDER, Container, Image, Yard, missing
from logkeep.config import DaemonSettings

pytestmark = pytest.mark.system

HOURS = 600  # with one file each
PATIENCE_S = 60.0
UID = 8480
STORAGE, SETTINGS = "/var/lib/logkeep", "/etc/logkeep"
REACH = """
base_url = "{base_url}"
requests_per_second = 500

[download]
allow_http = true
allow_private_addresses = true
"""
README_SETTINGS = """
[storage]
path = "/var/lib/logkeep"
min_free = 0

[[pan123]]
name = "main"
client_id = "your-client-id"
client_secret_file = "pan123.main.client_secret"
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Image]:
    """Built once for this file; nothing of it is left."""
    reason = missing()
    if reason is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    folder = tmp_path_factory.mktemp("yard")
    began = time.monotonic()
    try:
        built = Yard(folder).build()
        took, whole, ours = time.monotonic() - began, mebibytes(built.rootfs), mebibytes(built.rootfs / "opt/logkeep")
        tell(pytestconfig, f"image built in {took:.0f} s: {whole:.0f} MiB, {ours:.0f} of it logkeep and its packages")
        yield built
    finally:
        shutil.rmtree(folder)


def tell(config: pytest.Config, text: str) -> None:
    """A line on the terminal, whether the test fails or not."""
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        config.get_terminal_writer().line(f"\n{text}")


def mebibytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 2**20


@dataclass
class Vendor:
    """The simulated vendor on the loopback of a network of its own: no container that joins it gets any farther."""

    process: subprocess.Popen[str]
    facts: dict[str, str]

    def settings(self, text: str) -> str:
        """Settings as an operator writes them, for this vendor and account."""
        return text.replace("your-client-id", self.facts["client_id"]) + REACH.format(base_url=self.facts["base_url"])


@pytest.fixture
def vendor(image: Image) -> Iterator[Vendor]:  # noqa: ARG001 - without an image there is nobody to serve
    offered = ("--hours", str(HOURS), "--files-per-hour", "1")
    simulator = (sys.executable, "-m", "logkeep.simulator", *offered)
    command = ["unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *simulator]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Vendor(process, json.loads(process.stdout.readline()))
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)


@dataclass
class Host:
    """What the operator prepared: a folder with the settings and the secret, and one for the archive."""

    image: Image
    vendor: Vendor
    settings: Path
    storage: Path

    def container(self, *arguments: str) -> Container:
        name = f"{self.settings.parent.name}-{len(list(self.settings.parent.iterdir()))}-{time.monotonic_ns()}"
        binds = {SETTINGS: self.settings, STORAGE: self.storage}
        return Container(self.image, name, list(arguments), binds, network_of=self.vendor.process.pid)

    def archived(self) -> list[Path]:
        return [path for path in self.storage.glob("pan123/main/date=*/hour=*/*") if path.is_file()]


@pytest.fixture
def as_docker_does(image: Image, vendor: Vendor, tmp_path: Path) -> Host:
    """The README's way: a new volume has the owner of the image's folder, the secret is readable by its group."""
    settings, storage = tmp_path / "settings", tmp_path / "volume"
    settings.mkdir()
    write(settings / "config.toml", vendor.settings(README_SETTINGS), mode=0o644)
    write(settings / "pan123.main.client_secret", vendor.facts["client_secret"], mode=0o640)
    model = (image.rootfs / STORAGE.lstrip("/")).stat()
    storage.mkdir()
    os.chown(storage, model.st_uid, model.st_gid)
    storage.chmod(stat.S_IMODE(model.st_mode))
    return Host(image, vendor, settings, storage)


@pytest.fixture
def as_kubernetes_does(image: Image, vendor: Vendor, tmp_path: Path) -> Host:
    """The manifests' way: the volume belongs to root and to fsGroup; files are links into a folder with a date."""
    settings, storage = tmp_path / "projected", tmp_path / "claim"
    dated = settings / "..2025_06_20"
    dated.mkdir(parents=True)
    manifest = (image.context / "deploy/kubernetes/configmap.yaml").read_text(encoding="utf-8")
    text = textwrap.dedent(manifest.partition("config.toml: |\n")[2])
    files = {"config.toml": vendor.settings(text), "pan123.main.client_secret": vendor.facts["client_secret"]}
    for name, content in {**files, "web-token": "a-long-random-text"}.items():
        write(dated / name, content, mode=0o440)
        (settings / name).symlink_to(f"..data/{name}")
    (settings / "..data").symlink_to(dated.name)
    storage.mkdir()
    os.chown(storage, 0, UID)
    storage.chmod(0o2775)
    return Host(image, vendor, settings, storage)


def write(path: Path, text: str, *, mode: int) -> None:
    path.write_text(text, encoding="utf-8")
    os.chown(path, 0, UID)
    path.chmod(mode)


def until(holds: Callable[[], bool], told: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)


@contextmanager
def a_daemon(host: Host) -> Iterator[Container]:
    """A container with the image's own command, up to where it says that it is ready."""
    container = host.container(*host.image.config["Cmd"])
    with container.running() as process:
        until(lambda: '"event": "ready"' in container.err or process.poll() is not None, lambda: container.err)
        yield container


# --- what is in the image


def test_the_image_says_what_it_is_and_how_it_runs(image: Image) -> None:
    config = image.config
    assert (config["User"], config["Entrypoint"], config["Cmd"]) == ("8480:8480", ["logkeep"], ["run"])
    assert config["StopSignal"] == "SIGTERM"
    assert (list(config["Volumes"]), list(config["ExposedPorts"])) == ([STORAGE], ["8480/tcp"])
    labels = {key.rpartition("image.")[2]: value for key, value in config["Labels"].items() if "opencontainers" in key}
    assert labels.keys() == {"title", "description", "authors", "licenses", "version", "revision", "base.name"}
    assert all(labels.values())


def test_nothing_that_built_the_image_is_left_in_it(image: Image) -> None:
    """No compiler, no installer, no cache, no sources, and nothing of the machine that built it."""
    tools = {"cc", "gcc", "g++", "c++", "clang", "make", "ld", "as", "cargo", "rustc"}
    folders = [image.rootfs / folder for folder in ("usr/bin", "usr/local/bin", "opt/logkeep/bin")]
    assert [path for folder in folders for path in folder.iterdir() if path.name in tools] == []
    assert [path.name for path in (image.rootfs / "opt/logkeep/bin").iterdir() if path.name.startswith("pip")] == []
    packages = {path.name for path in image.site_packages.iterdir()}
    assert packages & {"pip", "setuptools", "wheel", "hatchling", "pytest"} == set()
    left = [image.rootfs / folder for folder in ("src", "wheels", "opt/build", "root/.cache", "var/lib/logkeep/.cache")]
    assert [path for path in left if path.exists()] == []
    assert list((image.rootfs / PIP_FOLDER.lstrip("/")).iterdir()) == []
    assert list((image.rootfs / "tmp").iterdir()) == []


def test_the_wheel_in_the_image_is_this_source(image: Image) -> None:
    """Every module and every file that modules read, with the same bytes."""
    installed, source = image.site_packages / "logkeep", image.context / "src" / "logkeep"

    def contents(folder: Path) -> dict[str, bytes]:
        paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".pyc", ".pyo")]
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}

    assert contents(installed) == contents(source)
    assert list(installed.rglob("*.pyc")), "compiled once, when the image is made: it cannot be done later"


def test_the_user_can_change_nothing_in_the_image_but_its_volume(image: Image) -> None:
    writable = []
    for path in (image.rootfs, *image.rootfs.rglob("*")):
        facts = path.lstat()
        open_to_all = facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX
        if not path.is_symlink() and (UID in (facts.st_uid, facts.st_gid) or open_to_all):
            writable.append(str(path.relative_to(image.rootfs)))
    assert writable == [STORAGE.lstrip("/")]
    assert list((image.rootfs / writable[0]).iterdir()) == []
    assert {path.lstat().st_uid for path in (image.rootfs / "opt/logkeep").rglob("*")} == {0}


# --- what it does


def test_the_program_starts_as_the_image_s_user_on_a_read_only_root(as_docker_does: Host) -> None:
    container = as_docker_does.container("--version")
    assert container.end() == 0, container.err
    assert container.out.startswith("logkeep ")
    looking = "id -u; id -g; touch /x /opt/logkeep/x /etc/logkeep/x; grep CapEff /proc/self/status"
    probe = as_docker_does.container("-c", looking)
    probe.image = probe.image.entered("sh")
    assert probe.end() == 0
    assert probe.out.split() == [str(UID), str(UID), "CapEff:", "0" * 16]
    assert probe.err.count("Read-only file system") == 3


def test_a_daemon_archives_is_healthy_and_ends_with_the_signal_that_process_1_gets(as_docker_does: Host) -> None:
    """It is told to stop while it catches up for the first time; the next container completes the archive."""
    with a_daemon(as_docker_does) as container:
        until(lambda: len(as_docker_does.archived()) > 0, lambda: container.err)
        health = container.exec(*as_docker_does.image.health_command)
        assert health.returncode == 0, health.stderr
        assert container.exec("cat", "/proc/1/cmdline").stdout.split("\0")[1:3] == ["/opt/logkeep/bin/logkeep", "run"]
        began = time.monotonic()
        container.send("TERM")
        assert container.process is not None
        assert container.process.wait(timeout=PATIENCE_S) == 0, container.err
        assert time.monotonic() - began < DaemonSettings().drain.total_seconds() + 5
        assert [json.loads(line)["event"] for line in container.err.splitlines()][-1] == "stopped"
    again = as_docker_does.container("sync")
    assert again.end() == 0, again.out + again.err
    assert len(as_docker_does.archived()) == HOURS
    assert_private(as_docker_does.storage)


def test_a_pod_archives_with_the_settings_of_the_manifests(as_kubernetes_does: Host) -> None:
    """Its folder belongs to root, and to the group that the manifest names."""
    container = as_kubernetes_does.container("sync")
    assert container.end() == 0, container.out + container.err
    assert "no gaps" in container.out
    assert len(as_kubernetes_does.archived()) == HOURS
    assert_private(as_kubernetes_does.storage)


def assert_private(storage: Path) -> None:
    """What logkeep made belongs to its user; files are 0640, folders 0750, the catalog is 0600."""
    made = list(storage.rglob("*"))
    assert {path.stat().st_uid for path in made} == {UID}
    catalog = {path for path in made if path.name.startswith("catalog.sqlite3")}
    assert {stat.filemode(path.stat().st_mode) for path in catalog} == {"-rw-------"}
    archive = [path for path in made if ".logkeep" not in path.parts]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o777 for path in archive if path.is_file()} == {0o640}
    assert {stat.S_IMODE(path.stat().st_mode) & 0o777 for path in archive if path.is_dir()} == {0o750}


def test_the_health_command_fails_while_nothing_answers(as_docker_does: Host) -> None:
    container = as_docker_does.container(str(PATIENCE_S))
    container.image = container.image.entered("sleep")
    with container.running():
        until(lambda: container.exec("true").returncode == 0, lambda: container.err)
        health = container.exec(*as_docker_does.image.health_command)
    assert health.returncode == 1
    assert "ConnectionRefusedError" in health.stderr


def test_a_volume_that_the_user_cannot_write_is_named_with_what_to_do(as_docker_does: Host) -> None:
    os.chown(as_docker_does.storage, 0, 0)
    as_docker_does.storage.chmod(0o755)
    container = as_docker_does.container("sync")
    assert container.end() == 4, container.out
    assert STORAGE in container.err
