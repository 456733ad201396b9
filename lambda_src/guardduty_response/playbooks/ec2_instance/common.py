"""What every verb shares: one target's names, sessions and ledger, and calls made side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response import aws
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks import Context, Target

Json = dict[str, Any]
K = TypeVar("K")
DONE, ALREADY, PLANNED, SKIPPED, FAILED = "DONE", "ALREADY", "PLANNED", "SKIPPED", "FAILED"
AWS_ERRORS = (ClientError, BotoCoreError, ResponseError)
REVOKE_OLDER = "AWSRevokeOlderSessions"  # the name AWS's own console uses: people look for it
# Branches make calls on aws.POOL and wait for them, so they need threads of their own.
BRANCHES = ThreadPoolExecutor(max_workers=16, thread_name_prefix="branch")


class Work:
    """One target within one incident. ``kept``: its ledger as an earlier attempt left it (empty until read)."""

    def __init__(self, ctx: Context, target: Target) -> None:
        self.ctx, self.target, self.id, self.scope, self.options = ctx, target, target.id, target.scope, ctx.options
        self.prefix = ctx.config.name_prefix
        self.group_name, self.untrack_name = f"{self.prefix}-quarantine", f"{self.prefix}-untrack"
        self.deny_name = f"{self.prefix}-deny-{target.id}"
        self.profile_name = str(ctx.config.responder["quarantine_profile"])
        self.brought: dict[str, str] = ctx.options["quarantine_security_group_ids"]
        self.standby = ctx.options["auto_scaling"] == "standby"
        self.scaling_action = "standby_auto_scaling" if self.standby else "detach_auto_scaling"
        exfiltrated = "CredentialExfiltration" in ctx.finding.type
        self.role_wide = ctx.options["revoke_sessions"] == "role" or (
            ctx.options["revoke_sessions"] != "none" and exfiltrated
        )
        self.kept: Json = {}

    def open(self, policy: Json) -> aws.Session:
        return self.ctx.assume(self.target.account_id, self.target.region, policy)

    def arn(self, resource: str, service: str = "ec2") -> str:
        region = "" if service == "iam" else self.target.region
        return f"arn:{self.ctx.config.partition}:{service}:{region}:{self.target.account_id}:{resource}"

    def cli(self, command: str) -> str:
        return f"aws {command} --region {self.target.region}"

    def ledger(self, incident_id: str = "") -> Json:
        return self.ctx.record.target(incident_id or self.ctx.incident_id, self.target.kind, self.id)

    def had(self, part: str) -> Json:
        """How ``part`` was before an earlier attempt changed it."""
        return dict(self.kept.get("before", {}).get(part) or {})

    def before(self, part: str, state: Json) -> None:
        self.ctx.record.before(self.ctx.incident_id, self.target.kind, self.id, part, state)

    def did(self, name: str, status: str, detail: str, *responses: Json) -> None:
        """A ledger line. What an earlier attempt did keeps its own line, with its time and request ids."""
        if status == ALREADY and self.kept.get("actions", {}).get(name, {}).get("status") == DONE:
            return
        ids = ",".join(filter(None, map(aws.request_id, responses)))
        self.ctx.action(self.target, name, status, detail, ids)


def gather(
    calls: Mapping[K, Callable[[], Any]], pool: ThreadPoolExecutor = aws.POOL, then: Callable[[], object] | None = None
) -> dict[K, Any]:
    """Runs ``calls`` at once; a call that failed yields its error. ``then`` runs when all are under way."""
    futures = {key: pool.submit(call) for key, call in calls.items()}
    if then:
        then()
    return {key: _settle(future) for key, future in futures.items()}


def _settle(future: Future[Any]) -> Any:
    try:
        return future.result()
    except AWS_ERRORS as error:
        return error


def value(result: Any) -> Any:
    """A gathered result, or raises the error it is."""
    if isinstance(result, Exception):
        raise result
    return result


def why(error: Exception) -> str:
    """``code: message`` of an AWS error, short enough for a ledger line."""
    if isinstance(error, ClientError):
        return f"{aws.code(error)}: {error.response.get('Error', {}).get('Message', '')[:300]}"
    return str(error)[:400] or type(error).__name__


def tags(node: Json, key: str = "Tags") -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in node.get(key) or []}
