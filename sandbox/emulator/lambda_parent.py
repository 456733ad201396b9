"""The parent of Lambda's environments: it has imported boto3 once, and forks for each of them.

``lambda_starts.py`` starts it as a script, with the descriptor of a socket. A message there is a
JSON document {"script": path, "cwd": directory, "env": variables} with three descriptors: standard
input, output and error. The answer is the process ID of the fork, which runs the script.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import time
import traceback
import types
from pathlib import Path

LONGEST = 1_000_000  # bytes of a message


def _warm() -> None:
    """Import what an environment needs before its own code, without state of any account."""
    import boto3  # noqa: F401  functions do
    import botocore.session

    session = botocore.session.Session()
    session.set_credentials("none", "none")
    # Most of botocore is imported when the first client is made
    session.create_client("sts", region_name="us-east-1")


def _run(script: str) -> None:
    """Run a script as ``python script`` would."""
    sys.argv = [script]
    sys.path.insert(0, str(Path(script).parent))
    main = types.ModuleType("__main__")
    main.__file__ = script
    sys.modules["__main__"] = main
    code = compile(Path(script).read_text(encoding="utf-8"), script, "exec")
    exec(code, main.__dict__)  # noqa: S102  the emulator's own script


def _become(message: dict[str, object], descriptors: list[int]) -> None:
    """Be an environment: its own streams, directory and variables."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
    os.chdir(str(message["cwd"]))
    os.environ.clear()
    os.environ.update(message["env"])  # type: ignore[call-overload]
    time.tzset()
    _run(str(message["script"]))


def _environment(message: dict[str, object], descriptors: list[int]) -> None:
    """Run an environment, and end the process."""
    code = 1
    try:
        _become(message, descriptors)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def main() -> None:
    """Fork for each message, until the other side closes the socket."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    _warm()
    gc.collect()
    gc.freeze()  # what is collected in a fork would be copied there first
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ends is gone at once
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, LONGEST, 3)
        if not data:
            return
        pid = os.fork()
        if pid == 0:
            channel.close()
            _environment(json.loads(data), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        channel.send(str(pid).encode())


if __name__ == "__main__":
    main()
