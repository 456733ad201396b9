"""Keeps containment true: starts a check of every incident whose containment stands, by the clock
and on changes.

The check itself is an execution of the incident machine with {"watch": {...}} as its input; this
starts it, and acts on nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code
from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.decision import configuration, finding
from guardduty_response.errors import ConfigError
from guardduty_response.functions import runtime
from guardduty_response.incident import notifications
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import WATCHED, Status

Json = dict[str, Any]


def scheduled(record: IncidentRepository, event: Json) -> Json:
    """Starts a check of every held incident. ``event``: id of the schedule's event, so that a
    second delivery starts nothing.
    """
    slot = finding.text(event.get("id"), 100) or str(int(time.time()) // 60)
    held = [meta for meta in record.held() if _own(meta) and not _forsaken(meta)]
    return _start_all(
        {
            meta["incident_id"]: partial(_start, meta["incident_id"], "schedule", slot)
            for meta in held
        }
    )


def changed(record: IncidentRepository, event: Json) -> Json:
    """Starts a check of every held incident whose containment an API call may have undone
    (CloudTrail by EventBridge).
    """
    trail = event.get("detail")
    if not isinstance(trail, dict):
        return {"started": []}
    settings = configuration.load()
    if not cloudtrail_event.is_outside_change(trail, cloudtrail_event.own_roles(settings)):
        return {"started": []}
    names, account = (
        cloudtrail_event.request_texts(trail),
        finding.text(trail.get("recipientAccountId") or event.get("account")),
    )
    seen = cloudtrail_event.change(trail)
    slot = seen["event_id"] or finding.text(event.get("id"), 100)

    def check(meta: Json) -> bool:
        incident_id = meta["incident_id"]
        targets = [record.target(incident_id, one["kind"], one["id"]) for one in meta["targets"]]
        watched = {
            id for target in targets for id in (*(target.get("watched") or []), target["id"])
        }
        return bool(watched & names) and _start(incident_id, "change", slot, seen)

    held = [
        meta
        for meta in record.held()
        if meta.get("account_id") == account and _own(meta) and not _forsaken(meta)
    ]
    return _start_all({meta["incident_id"]: partial(check, meta) for meta in held})


def _own(meta: Json) -> bool:
    """Not merely linked: what another incident contained is watched with that one."""
    return not meta.get("targets") or any(not one.get("attach") for one in meta["targets"])


def _forsaken(meta: Json) -> bool:
    """Whether no switch lets the incident's playbook act any more: then it has no function that
    could read anything back.
    """
    try:
        return meta.get("playbook") not in configuration.load().active_playbooks
    except ConfigError:
        return False  # the check itself tells


def unwatched(record: IncidentRepository) -> list[str]:
    """Containment that nothing reads back any more because its playbook is switched off: told
    once, until it is on again.
    """
    found = []
    for meta in filter(_own, record.held()):
        incident_id, settings, forsaken = meta["incident_id"], configuration.load(), _forsaken(meta)
        if forsaken == bool(meta.get("unwatched")):
            continue
        if forsaken:
            text = (
                f"No longer watched: no switch lets playbook {meta.get('playbook')} act any more,"
                " so nothing reads this containment back, and nobody hears of it being undone."
                " Close or restore it, or switch the playbook on again (remediations: dry_run is"
                " enough). This is told once."
            )
            if (settings.playbooks.get(meta.get("playbook") or "") or {}).get("restore"):
                region = os.environ["GDR_INCIDENT_MACHINE_ARN"].split(":")[3]
                prefix, playbook = settings.name_prefix, meta["playbook"]
                text += f"\n{notifications.ask_close(prefix, playbook, incident_id, region)}"
            notifications.publish(
                "problem", meta, record.read(incident_id)[1], note=text, escalate=True
            )
            found.append(incident_id)
        record.event(
            incident_id, "no longer watched" if forsaken else "watched again", actor="watchdog"
        )
        record.note(incident_id, unwatched="yes" if forsaken else "")
    return found


def _start_all(starts: dict[str, Callable[[], bool]]) -> Json:
    """Side by side. One incident that cannot be started keeps no other waiting; the first problem
    is raised at the end, so that EventBridge's delivery is repeated: what was started already is
    not started twice.
    """
    futures = {incident_id: clients.POOL.submit(start) for incident_id, start in starts.items()}
    started, problems = [], []
    for incident_id, future in futures.items():
        try:
            if future.result():
                started.append(incident_id)
        except Exception as error:
            runtime.log(
                "check not started",
                incident_id=incident_id,
                detail=f"{type(error).__name__}: {error}"[:500],
            )
            problems.append(error)
    if problems:
        raise problems[0]
    return {"started": started}


def _start(incident_id: str, why: str, slot: str, seen: Json | None = None) -> bool:
    """False: this very check was started before, and has ended."""
    name = f"watch-{incident_id}-{hashlib.sha256(slot.encode()).hexdigest()[:12]}"
    try:
        clients.client("stepfunctions").start_execution(
            stateMachineArn=os.environ["GDR_INCIDENT_MACHINE_ARN"],
            name=name,
            input=json.dumps({"watch": {"incident_id": incident_id, "why": why, "seen": seen}}),
        )
        return True
    except ClientError as error:
        if error_code(error) != "ExecutionAlreadyExists":
            raise
        return False


def died(record: IncidentRepository, incident_id: str, why: str) -> None:
    """An execution that only verified has died: its incident's status stands, and nobody knows
    whether it is still true.
    """
    meta, targets, _ = record.read(incident_id)
    if Status(meta["status"]) in WATCHED:
        notifications.unverified(record, meta, targets, why)
