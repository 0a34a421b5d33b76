"""A disk that may lose its power: what is sure to be on it, and what may or may not be.

The rules are those that a program may rely on under POSIX and on the journalling file systems of Linux, and no more:

- Bytes and sizes of a file are sure once the file was synced. Until then each change, cut at blocks of 4 KiB, may be
  there or not, whatever became of the others; the size may have grown without the bytes, which then are zeros.
- A folder's entries are sure once the folder was synced. Syncing a file makes nothing sure of its name. Until then each
  made, removed or renamed entry may be there or not, whatever became of the others.
- A rename is atomic: a name leads to the old file or to the new one. Within one folder its two entries change together;
  between two folders the file may be found under both names, never under none.

SQLite's ``-shm`` is memory shared in the shape of a file, begun anew by whoever opens the catalog first. What is in it
after a power loss is rubbish, and so it is here.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from crash_points_effects import Effect

BLOCK_BYTES = 4096
ROOT = 0
Tree = dict[str, bytes | None]
"""A state of the disk: content by path, None for a folder."""

_RUBBISH = b"\xa5" * 32768


@dataclass(frozen=True, slots=True)
class Change:
    """A piece of a write, or (``data`` None) a new size."""

    offset: int
    data: bytes | None

    def applied(self, content: bytearray) -> None:
        if self.data is None:
            del content[self.offset :]
            content.extend(bytes(self.offset - len(content)))
            return
        if len(content) < self.offset:
            content.extend(bytes(self.offset - len(content)))
        content[self.offset : self.offset + len(self.data)] = self.data


@dataclass(slots=True, eq=False)
class Node:
    """A file or a folder. ``durable`` is what of a file is sure, ``changes`` what came after.

    A ``hollow`` file only takes up room; it counts as empty. ``rubbish`` is the content of ``-shm``.
    """

    number: int
    folder: bool = False
    rubbish: bool = False
    hollow: bool = False
    durable: bytes = b""
    changes: list[Change] = field(default_factory=list)

    def content(self, kept: Collection[int] | None = None) -> bytes:
        """With those of the changes; None: with all."""
        if self.rubbish:
            return _RUBBISH
        content = bytearray(self.durable)
        for number, change in enumerate(self.changes):
            if kept is None or number in kept:
                change.applied(content)
        return bytes(content)

    def zeros(self) -> bytes:
        """As large as with all changes, and none of their bytes."""
        return b"" if self.rubbish else self.durable[: len(self.content())].ljust(len(self.content()), b"\0")

    def change(self, offset: int, data: bytes) -> None:
        while data:
            piece, data = data[: BLOCK_BYTES - offset % BLOCK_BYTES], data[BLOCK_BYTES - offset % BLOCK_BYTES :]
            self.changes.append(Change(offset, piece))
            offset += len(piece)

    def sync(self) -> None:
        self.durable, self.changes = self.content(), []


@dataclass(slots=True, eq=False)
class Move:
    """Entries of one folder that change together; None removes one.

    It does not happen without ``needs``, the other half of a rename.
    """

    folder: Node
    entries: tuple[tuple[str, Node | None], ...]
    told: str
    needs: "Move | None" = None


class Fate(Enum):
    """What becomes of a file's changes."""

    KEPT = "kept"
    LOST = "lost"
    ZEROS = "zeros"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of all that may or may not be on the disk is: ``moves``, and of files, by number, their fate or changes."""

    moves: frozenset[Move]
    files: Mapping[int, Fate | frozenset[int]] = field(default_factory=dict)
    others: Fate = Fate.KEPT


class Disk:
    """Fed with effects in their order; says at any moment what a loss of power may leave."""

    def __init__(self, root: Path) -> None:
        """As it lies there now, all of it sure."""
        self._root = Node(ROOT, folder=True)
        self._nodes: dict[int, Node] = {root.stat().st_ino: self._root}
        self._sure: dict[tuple[Node, str], Node] = {}
        self._seen: dict[tuple[Node, str], Node] = {}
        self.moves: list[Move] = []
        for path in sorted(root.rglob("*")):
            facts = path.lstat()
            node = Node(facts.st_ino, folder=path.is_dir(), hollow=_is_hollow(path))
            node.durable = b"" if node.folder or node.hollow else path.read_bytes()
            self._nodes[node.number] = node
            self._sure[self._nodes[path.parent.stat().st_ino], path.name] = node
        self._seen.update(self._sure)

    def apply(self, effect: Effect) -> None:
        """The effect has happened."""
        if effect.kind in {"send", "mode"}:
            return
        node = self._nodes.get(effect.node)
        if effect.kind in {"create", "mkdir"}:
            node = Node(effect.node, folder=effect.kind == "mkdir", rubbish=effect.path.endswith("-shm"))
            self._nodes[effect.node] = node
            self._move(effect, self._parent(effect.path), (_name(effect.path), node))
        elif effect.kind in {"unlink", "rmdir"}:
            self._move(effect, self._parent(effect.path), (_name(effect.path), None))
        elif effect.kind == "rename":
            assert node is not None
            self._rename(effect, node)
        elif node is not None and not node.rubbish:
            self._in_place(effect, node)

    def files(self) -> Iterator[Node]:
        """Files with changes that are not sure."""
        return (node for node in self._nodes.values() if node.changes)

    def tree(self, choice: Choice) -> Tree:
        """What is found after the loss."""
        entries = dict(self._sure)
        for move in self.moves:
            if move in choice.moves and (move.needs not in self.moves or move.needs in choice.moves):
                _enter(entries, move)
        below: dict[Node, list[tuple[str, Node]]] = {}
        for (folder, name), node in entries.items():
            below.setdefault(folder, []).append((name, node))
        return dict(self._walk(self._root, "", below, choice))

    def _walk(
        self, folder: Node, path: str, below: Mapping[Node, list[tuple[str, Node]]], choice: Choice
    ) -> Iterator[tuple[str, bytes | None]]:
        for name, node in below.get(folder, ()):
            where = f"{path}{name}"
            if node.folder:
                yield where, None
                yield from self._walk(node, f"{where}/", below, choice)
            else:
                yield where, _content(node, choice)

    def _in_place(self, effect: Effect, node: Node) -> None:
        if effect.kind == "write":
            node.change(effect.offset, effect.data)
        elif effect.kind == "cut":
            node.changes.append(Change(effect.size, None))
        elif effect.kind == "extend":
            node.hollow = True
        elif node.folder:
            self._sync_folder(node)
        else:
            node.sync()

    def _rename(self, effect: Effect, node: Node) -> None:
        source, target = self._parent(effect.path), self._parent(effect.target)
        gone, here = (_name(effect.path), None), (_name(effect.target), node)
        if source is target:
            self._move(effect, source, here, gone)
            return
        made = self._move(effect, target, here)
        self._move(effect, source, gone, needs=made)

    def _move(self, effect: Effect, folder: Node, *entries: tuple[str, Node | None], needs: Move | None = None) -> Move:
        move = Move(folder, entries, f"{effect.kind} {effect.path} {effect.target}".strip(), needs)
        self.moves.append(move)
        _enter(self._seen, move)
        return move

    def _sync_folder(self, folder: Node) -> None:
        sure = {move for move in self.moves if move.folder is folder}
        sure |= {move.needs for move in sure if move.needs is not None}
        for move in self.moves:
            if move in sure:
                _enter(self._sure, move)
        self.moves = [move for move in self.moves if move not in sure]

    def _parent(self, path: str) -> Node:
        folder = self._root
        for name in path.split("/")[:-1]:
            folder = self._seen[folder, name]
        return folder


def _content(node: Node, choice: Choice) -> bytes:
    fate = choice.files.get(node.number, choice.others)
    if isinstance(fate, frozenset):
        return node.content(fate)
    return {Fate.KEPT: node.content, Fate.LOST: lambda: node.durable, Fate.ZEROS: node.zeros}[fate]()


def _enter(entries: dict[tuple[Node, str], Node], move: Move) -> None:
    for name, node in move.entries:
        if node is None:
            entries.pop((move.folder, name), None)
        else:
            entries[move.folder, name] = node


def _is_hollow(path: Path) -> bool:
    return path.name == "reserve"


def _name(path: str) -> str:
    return path.rpartition("/")[2]
