"""Starts the program without loading it anew each time: a script for ``program.py``.

    python program_warm.py SOCKET

It loads everything once. For each connection it forks a child that becomes ``python -m logkeep`` as the request says,
in a process of its own with its own files, environment and signals. A request is a line of JSON: ``args``, ``env``,
``cwd``, ``out``, ``err``. Two lines of JSON come back: the child's id at once, and its exit status (negative: the
signal) when it ended. The script ends with the connection that it was started with: standard input.
"""

import ctypes
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import warnings

import alembic.command
import sqlalchemy.dialects.sqlite.aiosqlite

import logkeep.cli
import logkeep.cli.app
import logkeep.daemon.lifecycle

LOADED = (alembic.command, sqlalchemy.dialects.sqlite.aiosqlite, logkeep.cli.app, logkeep.daemon.lifecycle)
PR_SET_PDEATHSIG = 1


def serve(path: str) -> None:
    """Serve until standard input ends."""
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as waiting:
        listener.bind(path)
        listener.listen()
        waiting.register(listener, selectors.EVENT_READ)
        waiting.register(0, selectors.EVENT_READ)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            for key, _ in waiting.select():
                if key.fileobj is listener:
                    start(listener, waiting)
                elif key.data is None:
                    return
                else:
                    waiting.unregister(key.fd)
                    tell_the_end(key.fd, *key.data)


def start(listener: socket.socket, waiting: selectors.BaseSelector) -> None:
    connection, _ = listener.accept()
    with connection.makefile() as lines:
        request = json.loads(lines.readline())
    child = os.fork()
    if child == 0:
        waiting.close()
        listener.close()
        connection.close()
        become(request)
    connection.sendall(json.dumps({"pid": child}).encode() + b"\n")
    waiting.register(os.pidfd_open(child), selectors.EVENT_READ, (child, connection))


def tell_the_end(descriptor: int, child: int, connection: socket.socket) -> None:
    os.close(descriptor)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with connection:
        connection.sendall(json.dumps({"code": code}).encode() + b"\n")


def become(request: "dict[str, object]") -> None:
    """Be the program, to its end; what ``exit`` does afterwards is the interpreter's own."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # should the tests be killed, nothing stays behind
    os.setsid()
    for name, number, flags in (
        (os.devnull, 0, os.O_RDONLY),
        (request["out"], 1, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (request["err"], 2, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        descriptor = os.open(str(name), flags, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    os.chdir(str(request["cwd"]))
    sys.argv[:] = ["logkeep", *request["args"]]  # type: ignore[misc]
    runpy.run_module("logkeep", run_name="__main__", alter_sys=False)
    sys.exit(0)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*found in sys.modules", category=RuntimeWarning)
    gc.collect()
    gc.freeze()
    serve(sys.argv[1])
