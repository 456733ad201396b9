"""Start and stop the emulators: moto, then MiniStack in front of it."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Callable

from . import processes, settings, state
from .state import State

Say = Callable[[str], None]
# Of this shell's environment only these reach the emulators, and with them the functions they run.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH")
_SCALES = (
    "SANDBOX_WAIT_SCALE",
    "SANDBOX_TIMEOUT_SCALE",
    "SANDBOX_RATE_SCALE",
    "SANDBOX_SNAPSHOT_SECONDS",
)
_PASSED = (*_SCALES, "SANDBOX_DISABLED_PATCHES", "LAMBDA_ASYNC_RETRY_BASE_SECONDS")


def _environment(gateway_port: int, moto_port: int) -> dict[str, str]:
    scratch = settings.STATE_DIRECTORY / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in (*_KEPT, *_PASSED) if name in os.environ}
    gateway = f"http://127.0.0.1:{gateway_port}"
    return {
        **kept,
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(scratch),
        "SANDBOX_GATEWAY_URL": gateway,
        "SANDBOX_MOTO_URL": f"http://127.0.0.1:{moto_port}",
        "SANDBOX_ORGANIZATION_ID": settings.ORGANIZATION_ID,
        "SANDBOX_ACCOUNTS": " ".join(settings.ORGANIZATION),
        "SANDBOX_MANAGEMENT_ACCOUNT": settings.MANAGEMENT_ACCOUNT,
        "SANDBOX_REGIONS": " ".join(settings.REGIONS),
        # MiniStack: loopback only, IAM enforced, requests without credentials belong to the
        # security account.
        "GATEWAY_PORT": str(gateway_port),
        "BIND_HOST": "127.0.0.1",
        "AUTH": "true",
        "MINISTACK_ACCOUNT_ID": settings.SECURITY_ACCOUNT,
        "CLOUDTRAIL_RECORDING": "1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # An environment that one burst of findings needed is there for the next one
        "LAMBDA_WARM_TTL_SECONDS": "3600",
        "LOG_LEVEL": os.environ.get("SANDBOX_LOG_LEVEL", "INFO"),
        # Functions reach every service at the endpoint; no instance metadata here.
        "AWS_ENDPOINT_URL": gateway,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "false",
    }


def alive(known: State) -> bool:
    """Return whether every process of the sandbox runs."""
    return bool(known.processes) and all(
        processes.is_ours(pid, known.token) for pid in known.processes.values()
    )


def start() -> State:
    """Start the emulators and save the state; SandboxError with the log's end when one does not
    come up.
    """
    gateway_port = processes.free_port()
    moto_port = processes.free_port()
    token = f"sandbox-{secrets.token_hex(6)}"
    known = State(token=token, endpoint=f"http://127.0.0.1:{gateway_port}")
    environment = _environment(gateway_port, moto_port)
    logs = settings.STATE_DIRECTORY / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    commands = {
        "moto": [sys.executable, "-m", "sandbox.emulator.moto_server", str(moto_port), token],
        "gateway": [sys.executable, "-m", "sandbox.emulator.launcher", token],
    }
    for name, command in commands.items():
        known.processes[name] = processes.start(
            command, environment, logs / f"{name}.log", settings.ROOT
        )
        known.save()
    urls = {
        "moto": f"http://127.0.0.1:{moto_port}/_sandbox/health",
        "gateway": f"{known.endpoint}/_sandbox/health",
    }
    try:
        for name, url in urls.items():
            processes.wait_for(url, known.processes[name], token, logs / f"{name}.log")
    except BaseException:
        stop(known)
        raise
    return known


def stop(known: State) -> None:
    """Stop the sandbox's own processes and forget its state; Terraform's files and reports stay."""
    processes.stop(known.processes.values(), known.token)
    shutil.rmtree(settings.STATE_DIRECTORY / "tmp", ignore_errors=True)
    state.path().unlink(missing_ok=True)


def recover(say: Say) -> State | None:
    """Return the running sandbox, or None; what is left of a dead one is cleared away."""
    known = state.load()
    if known is None:
        return None
    if alive(known):
        return known
    say("Clearing away a sandbox that no longer runs.")
    stop(known)
    return None
