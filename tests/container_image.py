"""This repository's Dockerfile, built for real without a registry, and containers of what came out.

debootstrap makes the base image, buildah builds on it, crun runs the result. Whatever mounts does so in a mount
namespace of its own, so that nothing stays mounted however a test ends; everything else lies below one folder.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BASE = "localhost/python-base"
SUITE = "bookworm"
# what python:3.11-slim has beyond Debian's smallest; debootstrap cannot tell who provides python3.11-distutils
PACKAGES = ("python3.11", "python3.11-venv", "python3-distutils", "ca-certificates", "netbase", "tzdata")
TOOLS = ("debootstrap", "buildah", "crun", "unshare", "ip")
PIP_FOLDER = "/etc/xdg/pip"
TMP = "/tmp"  # noqa: S108 - in a container it is nobody else's
_PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout")
_ISOLATED = ("unshare", "--mount", "--")
_UNIFIED_CGROUPS = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$0" "$@"'  # crun refuses a mixture of both kinds


def missing() -> str | None:
    """Why nothing can be built here, None when it can."""
    if os.geteuid() != 0:
        return "building a container needs root"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"building a container needs {', '.join(absent)}"
    allowed = subprocess.run([*_ISOLATED, "true"], capture_output=True, text=True, check=False)
    return None if allowed.returncode == 0 else f"no mount namespaces here: {allowed.stderr.strip()}"


def call(*command: str | Path) -> str:
    """Run a command in a mount namespace of its own; what it printed.

    Raises:
        AssertionError: it failed, with the end of what it said.
    """
    done = subprocess.run([*_ISOLATED, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}"
    return done.stdout


@dataclass(frozen=True)
class Image:
    """An image that was built: what it was built from, its files, and what it says of itself."""

    folder: Path
    context: Path
    rootfs: Path
    config: dict[str, Any]

    @property
    def site_packages(self) -> Path:
        (found,) = (self.rootfs / "opt/logkeep/lib").glob("python3.*/site-packages")
        return found

    @property
    def environment(self) -> list[str]:
        return list(self.config["Env"])

    @property
    def user(self) -> tuple[int, int]:
        uid, gid = self.config["User"].split(":")
        return int(uid), int(gid)

    @property
    def health_command(self) -> list[str]:
        command: list[str] = self.config["Healthcheck"]["Test"]
        assert command[0] == "CMD"
        return command[1:]

    def entered(self, *entry_point: str) -> "Image":
        """The same image with another entry point."""
        return replace(self, config={**self.config, "Entrypoint": list(entry_point)})


@dataclass(frozen=True)
class Yard:
    """A folder in which images are built; buildah's own store on this machine is not touched."""

    folder: Path

    def build(self) -> Image:
        """The Dockerfile as it stands, on a base image made here."""
        context = self.folder / "context"  # nobody edits the sources while they are built and compared
        shutil.copytree(ROOT, context, ignore=shutil.ignore_patterns(".git", ".venv", ".*_cache", "demo-archive"))
        self._make_base()
        arguments = ("--build-arg", f"PYTHON={BASE}", "--volume", f"{self._pip_settings()}:{PIP_FOLDER}:ro")
        how = ("--format", "docker", "--isolation", "chroot", "--pull-never", "--tag", "logkeep")
        call(*self._buildah, "build", *how, *arguments, context)
        rootfs = self.folder / "rootfs"
        copy = (
            'c=$("$@" from --pull-never logkeep) && cp -a "$("$@" mount "$c")" "$0" && "$@" umount "$c" && "$@" rm "$c"'
        )
        call("sh", "-c", copy, rootfs, *self._buildah)
        facts = json.loads(call(*self._buildah, "inspect", "--type", "image", "logkeep"))
        return Image(self.folder, context, rootfs, facts["Docker"]["config"])

    @property
    def _buildah(self) -> tuple[str, ...]:
        return ("buildah", "--root", str(self.folder / "store"), "--runroot", str(self.folder / "run"))

    def _make_base(self) -> None:
        base = self.folder / "base"
        call("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, base, *_mirror())
        for rest in ("var/cache/apt", "var/lib/apt/lists", "dev"):
            shutil.rmtree(base / rest)
        (base / "dev").mkdir()
        (base / "usr/local/bin/python").symlink_to("/usr/bin/python3.11")
        (base / PIP_FOLDER.lstrip("/")).mkdir(parents=True)
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        commit = 'c=$("$@" from scratch) && "$@" add "$c" "$0" / && "$@" config --env "$BASE_PATH" "$c"'
        commit += f' && "$@" commit --rm "$c" {BASE}'
        call("env", f"BASE_PATH={path}", "sh", "-c", commit, base, *self._buildah)
        shutil.rmtree(base)

    def _pip_settings(self) -> Path:
        """How this machine's pip reaches its package index. There while the image is built, and not in it."""
        folder = self.folder / "pip"
        folder.mkdir()
        settings = _pip_settings()
        lines = [f"{key} = {settings[key]}" for key in _PIP_KEYS if settings.get(key)]
        if "cert" in settings:
            shutil.copy(settings["cert"], folder / "ca.crt")
            lines.append(f"cert = {PIP_FOLDER}/ca.crt")
        (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
        return folder


def _mirror() -> list[str]:
    """Where this machine's apt gets Debian from; nothing where it does not say, and debootstrap knows itself."""
    wanted = [f"Codename: {SUITE}", "Component: main", "Created-By: Packages"]
    asked = ["apt-get", "indextargets", "--format", "$(SITE)", *wanted]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    return told[:1]


def _pip_settings() -> dict[str, str]:
    """Every setting of this machine's pip by its name; the environment's win, folders of this machine are left out."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    settings: dict[str, str] = {}
    for line in sorted(listed, key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        words = str(ast.literal_eval(value)).split()
        settings[name.partition(".")[2]] = " ".join(word for word in words if not word.startswith("file:"))
    return settings


@dataclass
class Container:
    """A container of an image as a careful operator runs it.

    The root is read-only, the user is the image's, there are no capabilities and no way to new privileges, and the
    entry point is process 1. ``binds`` are folders of this machine by where they appear.
    """

    image: Image
    name: str
    arguments: list[str]
    binds: dict[str, Path]
    network_of: int | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @cached_property
    def bundle(self) -> Path:
        folder = self.image.folder / "bundles" / self.name
        folder.mkdir(parents=True)
        (folder / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n", encoding="utf-8")
        (folder / "config.json").write_text(json.dumps(self._specification(folder)), encoding="utf-8")
        return folder

    @property
    def out(self) -> str:
        return (self.bundle / "out").read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        return (self.bundle / "err").read_text(encoding="utf-8")

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """The container, which is gone at the end, whatever became of it."""
        command = self._crun("run", "--bundle", str(self.bundle), self.name)
        with (self.bundle / "out").open("wb") as out, (self.bundle / "err").open("wb") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            yield self.process
        finally:
            subprocess.run(self._crun("delete", "--force", self.name), capture_output=True, check=False)
            self.process.wait(timeout=30)

    def end(self, timeout_s: float = 120) -> int:
        """Run it to its own end; its exit code."""
        with self.running() as process:
            return process.wait(timeout=timeout_s)

    def exec(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as the image's user."""
        uid, gid = self.image.user
        given = [part for setting in self.image.environment for part in ("--env", setting)]
        words = self._crun("exec", "--user", f"{uid}:{gid}", *given, self.name, *command)
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)

    def send(self, signal_name: str) -> None:
        """Send a signal to process 1."""
        subprocess.run(self._crun("kill", self.name, signal_name), check=True, capture_output=True)

    def _crun(self, *words: str) -> list[str]:
        state = ("--root", str(self.image.folder / "crun"), "--cgroup-manager=disabled")
        return [*_ISOLATED, "sh", "-c", _UNIFIED_CGROUPS, "crun", *state, *words]

    def _specification(self, folder: Path) -> dict[str, Any]:
        uid, gid = self.image.user
        binds = {"/etc/hosts": folder / "hosts", **self.binds}
        namespaces = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]
        path = {} if self.network_of is None else {"path": f"/proc/{self.network_of}/ns/net"}
        return {
            "ociVersion": "1.0.0",
            "process": {
                "user": {"uid": uid, "gid": gid},
                "args": [*self.image.config["Entrypoint"], *self.arguments],
                "env": self.image.environment,
                "cwd": self.image.config["WorkingDir"] or "/",
                "noNewPrivileges": True,
                "capabilities": {},
            },
            "root": {"path": str(self.image.rootfs), "readonly": True},
            "hostname": "logkeep",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {"destination": TMP, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=1777"]},
                *(_bind(source, at) for at, source in binds.items()),
            ],
            "linux": {"namespaces": [*namespaces, {"type": "network", **path}], "readonlyPaths": ["/proc/sys"]},
        }


def _bind(source: Path, at: str) -> dict[str, Any]:
    writable = at.startswith("/var/")
    return {"destination": at, "type": "bind", "source": str(source), "options": ["bind", "rw" if writable else "ro"]}
