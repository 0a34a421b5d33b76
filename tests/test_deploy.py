"""The Dockerfile and its page agree with each other and with the program.

That the image can be built and does its work is ``test_system_container``'s to show; the compose file and the manifests
are ``test_deploy_manifests``'s.
"""

import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from logkeep import __version__
from logkeep.config import DEFAULT_CONFIG, DaemonSettings, StorageSettings, WebSettings

ROOT = Path(__file__).parent.parent
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
STAGES = re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]
FINAL = STAGES[-1]
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
PAGE = (ROOT / "docs" / "install-container.md").read_text(encoding="utf-8")
USER = 8480
PORT = 8480
STORAGE = str(StorageSettings().path)
SETTINGS = str(DEFAULT_CONFIG.parent)
DRAIN_S = DaemonSettings().drain.total_seconds()
SPARE_S = 15


def instruction(name: str, stage: str = FINAL) -> str:
    """The arguments of the one instruction of that name."""
    (found,) = re.findall(rf"^{name} (.*)$", stage, re.MULTILINE)
    return str(found)


def commands() -> list[list[str]]:
    """Every command line of the page."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


# --- the Dockerfile


def test_the_image_runs_as_a_numbered_user_that_is_not_root() -> None:
    assert instruction("USER") == f"{USER}:{USER}"
    assert f"--gid {USER} " in FINAL
    assert f"--uid {USER} " in FINAL


def test_the_image_s_volume_port_and_settings_are_the_program_s_defaults() -> None:
    listen = WebSettings().listen
    assert listen is not None
    assert (instruction("VOLUME"), instruction("EXPOSE")) == (STORAGE, str(listen.port)) == (STORAGE, str(PORT))
    assert f"('localhost', {PORT})" in instruction("HEALTHCHECK")
    assert "GET /livez " in instruction("HEALTHCHECK")
    assert f"install -d -m 0755 {SETTINGS}" in FINAL


@pytest.mark.parametrize("name", ["ENTRYPOINT", "CMD"])
def test_no_shell_stands_between_the_runtime_and_the_program(name: str) -> None:
    """Process 1 gets the signal; a shell would swallow it."""
    assert instruction(name).startswith("["), "exec form"
    assert instruction("STOPSIGNAL") == "SIGTERM"


def test_every_stage_stands_on_the_same_base_and_the_last_one_installs_nothing() -> None:
    assert [stage.split()[1] for stage in STAGES] == ["${PYTHON}"] * len(STAGES)
    assert len(STAGES) > 1
    assert "pip" not in FINAL


def test_every_package_that_a_build_fetches_is_locked() -> None:
    installs = re.findall(r"pip (?:install|wheel) ([^&\n]*)", DOCKERFILE)
    assert len(installs) == 4
    for words in map(str.split, installs):
        local = words[-1].startswith(("/wheels/", "."))
        assert ("--no-deps" if local else "--require-hashes") in words, words
        assert "--no-cache-dir" in words


def needed_by(name: str) -> Iterator[str]:
    yield name
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from needed_by(requirement.name)


def test_the_build_backend_is_installed_with_all_that_it_needs() -> None:
    """A lock that was made anew may need another name here."""
    (names,) = re.findall(r"\^\(([a-z|-]+)\)==", DOCKERFILE)
    backend = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    assert sorted(names.split("|")) == sorted({name for text in backend for name in needed_by(Requirement(text).name)})


def test_only_what_the_dockerfile_copies_reaches_a_build() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    let_in = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {name for words in re.findall(r"^COPY ([^-].*)$", DOCKERFILE, re.MULTILINE) for name in words.split()[:-1]}
    assert rules[0] == "*"
    assert let_in == copied
    assert all((ROOT / name).exists() for name in copied)


def test_the_label_has_the_program_s_version() -> None:
    assert f"ARG VERSION={__version__}\n" in FINAL


# --- the page


def test_the_page_runs_the_image_as_it_is_made() -> None:
    runs = [words for words in commands() if words[:2] == ["docker", "run"]]
    assert len(runs) == 2
    for words in runs:
        mounts = [words[at + 1].split(":")[1] for at, word in enumerate(words) if word == "-v"]
        assert mounts == [STORAGE, SETTINGS]
        assert "--read-only" in words
    assert int(runs[-1][runs[-1].index("--stop-timeout") + 1]) >= DRAIN_S + SPARE_S
    assert f"127.0.0.1:{PORT}:{PORT}" in runs[-1]


def test_the_page_s_files_exist_and_its_owner_is_the_image_s_user() -> None:
    words = [word for command in commands() for word in command]
    named = {word for word in words if word.startswith("deploy/")}
    applied = {f"deploy/kubernetes/{path.name}" for path in MANIFESTS if path.stem != "secret"}
    assert named == {"deploy/compose.yaml", *applied}
    groups = {words[at + 1] for at, word in enumerate(words) if word == "-g"}
    assert groups == {str(USER)}
    asked = {word.partition("=")[0] for at, word in enumerate(words) if words[at - 1] == "--build-arg"}
    assert asked <= set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
