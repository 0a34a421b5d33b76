"""Kill the store before each of its file operations in turn, and look at what is left: a program for a test to run.

    python store_crash.py FOLDER

The operations are seen by an audit hook, so every one of open, mkdir, chmod, rename, remove and list is met, in the
order in which they really happen. Each attempt is a child of its own that kills itself with SIGKILL. Its last line is
JSON: how many attempts were killed, and every broken promise.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from logkeep.store.local import LocalStore
from logkeep.store.port import Publication

WATCHED = ("open", "os.")
LARGE = bytes(range(256)) * 2800
OBJECTS = {
    "pan123/main/date=2025-06-20/hour=15/12-x.gz": b"small",
    "pan123/main/date=2025-06-20/hour=16/13-x.gz": LARGE,
    "pan123/main/hour=unknown/14-x.gz": b"",
}


def temp_name(path: str) -> str:
    return path.replace("/", "_")


async def archive(root: Path) -> None:
    """Stage, flush, publish, quarantine: one pass, from whatever an earlier one left."""
    store = LocalStore(root, create=True, reserve_bytes=4096)
    await store.open()
    missing = [path for path in OBJECTS if await store.size(path) is None]
    for path in missing:
        async with store.stage(temp_name(path)) as sink:
            await sink.write(OBJECTS[path])
    await store.flush([temp_name(path) for path in missing])
    await store.publish(
        [Publication(temp_name(path), path, sha256(data).hexdigest()) for path, data in OBJECTS.items()]
    )
    async with store.stage("odd") as sink:
        await sink.write(b"odd")
    await store.quarantine("odd", "odd")
    await store.close()


async def sweep(root: Path) -> None:
    """What start-up does with temporary files that nobody knows."""
    store = LocalStore(root, create=False, reserve_bytes=4096)
    await store.open()
    for name in await store.staged_sizes():
        await store.discard(name)


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "reserve"
    }


def visible(root: Path) -> dict[str, bytes]:
    return {path: data for path, data in tree(root).items() if not path.startswith(".logkeep")}


def killed_before(operation: int, work: Callable[[], None]) -> bool:
    """Run ``work`` in a child that ends itself before its n-th file operation; False when it came to its end."""
    child = os.fork()
    if child == 0:
        seen = 0

        def hook(event: str, _: tuple[object, ...]) -> None:
            nonlocal seen
            if event.startswith(WATCHED) and not event.startswith("os.kill"):
                seen += 1
                if seen == operation:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def broken_promises(root: Path, expected: dict[str, bytes]) -> list[str]:
    """Look at what a killed pass left, then do one more pass."""
    partial = [f"{path} is not whole" for path, data in visible(root).items() if OBJECTS.get(path) != data]
    asyncio.run(archive(root))
    asyncio.run(sweep(root))
    return partial if tree(root) == expected else [*partial, f"one pass later: {sorted(tree(root))}"]


def main(folder: Path) -> None:
    asyncio.run(archive(folder / "whole"))
    expected = tree(folder / "whole")
    killed, problems = 0, []
    while True:
        root = folder / f"{killed}"
        if not killed_before(killed + 1, lambda root=root: asyncio.run(archive(root))):  # type: ignore[misc]
            break
        problems += [f"killed before operation {killed + 1}: {found}" for found in broken_promises(root, expected)]
        killed += 1
    sys.stdout.write(json.dumps({"killed": killed, "problems": problems}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
