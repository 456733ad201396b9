"""moto with the sandbox's patches, in a process of its own: ``python -m sandbox.emulator.moto_server PORT``.

One request at a time: moto keeps no locks, and a call on AWS either happens before another or after it.
``GET /_sandbox/facts`` tells MiniStack's process what IAM has to know about resources (moto_client.facts).
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any

from . import moto_instances, moto_network  # noqa: F401  (they patch moto)
from .moto_modules import autoscaling, ec2, load_balancing
from .patching import check_pins

_LOCK = threading.RLock()


def _instance(item: Any) -> dict[str, Any]:
    profile = item.iam_instance_profile or {}
    volumes = [device.volume_id for _, device in item.get_block_device_mapping]
    return {"vpc": item.vpc_id, "subnet": item.subnet_id, "profile": profile.get("Arn"), "volumes": volumes}


def _ec2_fact(backend: Any, name: str) -> dict[str, Any] | None:
    kind = name.rsplit("-", 1)[0]
    if kind == "i":
        item = backend.get_instance_by_id(name)
        return _instance(item) if item else None
    if kind == "eni":
        item = backend.enis.get(name)
        return {"vpc": item.vpc_id, "subnet": item.subnet_id} if item else None
    if kind == "sg":
        item = backend.get_security_group_from_id(name)
        return {"vpc": item.vpc_id} if item else None
    if kind == "iip-assoc":
        for item in list(backend.iam_instance_profile_associations.values()):
            if item.association_id == name:
                return {"resources": [item.instance_id]}
        return None
    if kind == "eni-attach":
        for item in list(backend.enis.values()):
            if item.attachment_id == name:
                return {"resources": [item.id, *([item.instance.id] if item.instance else [])]}
        return None
    if kind == "eipassoc":
        for item in backend.describe_addresses():
            if item.association_id == name:
                named = [item.allocation_id, item.eni.id if item.eni else None, item.instance.id if item.instance else None]
                return {"resources": [value for value in named if value]}
        return None
    return {}


def _fact(account: str, region: str, name: str) -> dict[str, Any] | None:
    if name.startswith("asg:"):
        group = autoscaling.autoscaling_backends[account][region].autoscaling_groups.get(name[4:])
        return {"arn": group.arn, "tags": {tag["Key"]: tag["Value"] for tag in group.tags}} if group else None
    if name.startswith("tg:"):
        backend = load_balancing.elbv2_backends[account][region]
        if name[3:] not in backend.target_groups:
            return None
        tags = backend.tagging_service.list_tags_for_resource(name[3:]) if hasattr(backend, "tagging_service") else {}
        return {"tags": {tag["Key"]: tag["Value"] for tag in tags.get("Tags", [])}}
    backend = ec2.ec2_backends[account][region]
    fact = _ec2_fact(backend, name)
    return None if fact is None else {**fact, "tags": dict(backend.tags.get(name, {}))}


def facts(query: str) -> dict[str, Any]:
    """The facts asked for in a query string: account, region, id (repeated)."""
    params = urllib.parse.parse_qs(query)
    found = {name: _fact(params["account"][0], params["region"][0], name) for name in params.get("id", [])}
    return {name: fact for name, fact in found.items() if fact is not None}


class Application:
    """The WSGI application: control paths, then moto, serialized."""

    def __init__(self, moto: Callable[..., Iterable[bytes]]) -> None:
        self._moto = moto

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with _LOCK:
            if environ.get("PATH_INFO") == "/_sandbox/facts":
                body = json.dumps(facts(environ.get("QUERY_STRING", ""))).encode()
                start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
                return [body]
            if environ.get("PATH_INFO") == "/_sandbox/health":
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [b"ok"]
            return list(self._moto(environ, start_response))


def main(port: int) -> None:
    """Serve until SIGTERM."""
    check_pins()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import run_simple

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    moto: Any = DomainDispatcherApplication(create_backend_app)
    run_simple("127.0.0.1", port, Application(moto), threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main(int(sys.argv[1]))
