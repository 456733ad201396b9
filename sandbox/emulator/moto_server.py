"""moto with the sandbox's patches, in a process of its own: ``python -m
sandbox.emulator.moto_server PORT``.

One request at a time: moto keeps no locks, and a call on AWS either happens before another or after
it. ``GET /_sandbox/facts`` tells MiniStack's process what IAM has to know about resources
(moto_client.facts).
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any

from . import botocore_files, moto_organization, patch_modules  # noqa: F401  it comes first
from .moto_client import Fact
from .moto_modules import autoscaling, ec2, load_balancing
from .patching import check_pins

_LOCK = threading.RLock()


def _instance(item: Any) -> Fact:
    profile = item.iam_instance_profile or {}
    volumes = [device.volume_id for _, device in item.get_block_device_mapping]
    return {
        "vpc": item.vpc_id,
        "subnet": item.subnet_id,
        "profile": profile.get("Arn"),
        "volumes": volumes,
    }


def _interface(item: Any) -> Fact:
    return {"vpc": item.vpc_id, "subnet": item.subnet_id}


def _owner(items: Iterable[Any], attribute: str, name: str) -> Any:
    return next((item for item in list(items) if getattr(item, attribute) == name), None)


def _linked(backend: Any, kind: str, name: str) -> list[Any]:
    """Return the ids of the resources an association stands for; empty when there is no such
    association.
    """
    if kind == "iip-assoc":
        item = _owner(backend.iam_instance_profile_associations.values(), "association_id", name)
        return [item.instance_id] if item else []
    if kind == "eni-attach":
        item = _owner(backend.enis.values(), "attachment_id", name)
        return [item.id, item.instance and item.instance.id] if item else []
    item = _owner(backend.describe_addresses(), "association_id", name)
    return (
        [item.allocation_id, item.eni and item.eni.id, item.instance and item.instance.id]
        if item
        else []
    )


def _ec2_fact(backend: Any, name: str) -> Fact | None:
    kind = name.rsplit("-", 1)[0]
    if kind in ("iip-assoc", "eni-attach", "eipassoc"):
        resources = [value for value in _linked(backend, kind, name) if value]
        return {"resources": resources} if resources else None
    shapes: dict[str, tuple[Callable[[str], Any], Callable[[Any], Fact]]] = {
        "i": (backend.get_instance_by_id, _instance),
        "eni": (backend.enis.get, _interface),
        "sg": (backend.get_security_group_from_id, lambda item: {"vpc": item.vpc_id}),
    }
    if kind not in shapes:
        return {}
    find, shape = shapes[kind]
    item = find(name)
    return shape(item) if item else None


def _fact(account: str, region: str, name: str) -> Fact | None:
    if name.startswith("asg:"):
        group = autoscaling.autoscaling_backends[account][region].autoscaling_groups.get(name[4:])
        return (
            {"arn": group.arn, "tags": {tag["Key"]: tag["Value"] for tag in group.tags}}
            if group
            else None
        )
    if name.startswith("tg:"):
        backend = load_balancing.elbv2_backends[account][region]
        if name[3:] not in backend.target_groups:
            return None
        tags = (
            backend.tagging_service.list_tags_for_resource(name[3:])
            if hasattr(backend, "tagging_service")
            else {}
        )
        return {"tags": {tag["Key"]: tag["Value"] for tag in tags.get("Tags", [])}}
    backend = ec2.ec2_backends[account][region]
    fact = _ec2_fact(backend, name)
    return None if fact is None else {**fact, "tags": dict(backend.tags.get(name, {}))}


def facts(query: str) -> dict[str, Fact]:
    """Return the facts asked for in a query string: account, region, id (repeated)."""
    params = urllib.parse.parse_qs(query)
    found = {
        name: _fact(params["account"][0], params["region"][0], name)
        for name in params.get("id", [])
    }
    return {name: fact for name, fact in found.items() if fact is not None}


class Application:
    """The WSGI application: control paths, then moto, serialized."""

    def __init__(self, moto: Callable[..., Iterable[bytes]]) -> None:
        self._moto = moto

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with _LOCK:
            if environ.get("PATH_INFO") == "/_sandbox/facts":
                body = json.dumps(facts(environ.get("QUERY_STRING", ""))).encode()
                start_response(
                    "200 OK",
                    [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
                )
                return [body]
            if environ.get("PATH_INFO") == "/_sandbox/health":
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [b"ok"]
            return list(self._moto(environ, start_response))


def main(port: int) -> None:
    """Serve until SIGTERM."""
    check_pins()
    patch_modules.install(patch_modules.MOTO)
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import run_simple

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    moto_organization.found()
    moto: Any = DomainDispatcherApplication(create_backend_app)
    run_simple(
        "127.0.0.1", port, Application(moto), threaded=True, request_handler=MotoRequestHandler
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
