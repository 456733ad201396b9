"""One principal within one incident, and what every verb of this playbook shares."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment import target_context
from guardduty_response.containment.contract import Context, Target
from guardduty_response.containment.target_context import Json
from guardduty_response.decision.finding import get
from guardduty_response.playbooks.iam_principal.identify import principal_of

# Somebody changes the same thing, soon again: AWS IAM (the first two), IAM Identity Center.
BUSY = ("ConcurrentModification", "EntityTemporarilyUnmodifiable", "Conflict")
BUSY_TRIES = 6


class PrincipalContext(target_context.TargetContext):
    def __init__(self, context: Context, target: Target) -> None:
        super().__init__(context, target)
        self.who = principal_of(self)
        self.deny_all = f"arn:{context.config.partition}:iam::aws:policy/AWSDenyAll"

    @property
    def role_wide(self) -> bool:
        """Whether all older sessions of the role are denied: by option, because credentials were
        stolen from where they were handed out, or because the finding names no session.
        """
        stolen = "CredentialExfiltration" in self.context.finding.type
        return self.options["revoke_sessions"] == "role" or stolen or not self.who.session

    @property
    def since(self) -> datetime:
        """The begin of the finding's window: log_window_minutes before its first event."""
        service = self.context.finding.detail.get("service")
        first = get(service, "eventFirstSeen") or self.context.finding.detail.get("createdAt")
        try:
            at = datetime.fromisoformat(str(first).replace("Z", "+00:00"))
        except ValueError:
            at = datetime.now(UTC)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return at - timedelta(
            minutes=float(self.context.config.evidence.get("log_window_minutes") or 60)
        )


@dataclass
class PrincipalState:
    """What was read, by part, and what could not be read, and why."""

    settings: dict[str, Any] = field(default_factory=dict)
    read_errors: dict[str, str] = field(default_factory=dict)


def retry_on_conflict(call: Callable[[], Any]) -> Any:
    """The call's answer, asked again while somebody else changes the same entity: IAM refuses
    changes side by side.
    """
    for attempt in range(BUSY_TRIES):
        try:
            return call()
        except ClientError as error:
            if error_code(error).removesuffix("Exception") not in BUSY or attempt == BUSY_TRIES - 1:
                raise
            time.sleep(random.uniform(0.1, 0.2) * 2**attempt)  # noqa: S311  (no secret)
    raise AssertionError("unreachable")


def each(calls: Iterable[Callable[[], Json]]) -> list[Json]:
    """Every call's answer. One that fails keeps no other; then its error is raised."""
    answers: list[Json] = []
    failed: Exception | None = None
    for call in calls:
        try:
            answers.append(call())
        except Exception as error:
            failed = failed or error
    if failed:
        raise failed
    return answers


def pages(call: Callable[..., Json], key: str, **request: Any) -> list[Any]:
    """Every page of an IAM list."""
    out: list[Any] = []
    while True:
        got = call(**request)
        out += got[key]
        if not got.get("IsTruncated"):
            return out
        request["Marker"] = got["Marker"]


def now_rounded_up() -> str:
    """Now in UTC, rounded up to the second: a session issued within this second is older too."""
    return (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
