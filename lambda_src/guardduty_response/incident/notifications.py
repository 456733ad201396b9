"""The messages people get: what happened, to which resource, what was seen on reading back, what
is left to do.
"""

from __future__ import annotations

import json
import os
from typing import Any

from guardduty_response.aws import clients
from guardduty_response.decision import configuration, finding
from guardduty_response.functions import runtime
from guardduty_response.incident import siem_link
from guardduty_response.incident.statuses import ESCALATE, Status

Json = dict[str, Any]

_HEADLINES = {
    "started": "Response started",
    "approval": "Approval needed: nothing has been changed yet",
    "notice": "Finding reported; the policy lets nothing act on it",
    "closing": "Evidence and finish",
    "problem": "The response met a problem; the status is what was last seen",
    Status.CONTAINED: "Contained, and verified by reading the resource back",
    Status.PARTIAL: "Contained only in part: people must finish it",
    Status.FAILED: "NOT contained: people must act now",
    Status.CONTAINMENT_LOST: "Containment was undone: people must act now",
    Status.GONE: "The resource no longer exists",
    Status.DRY_RUN: "Dry run: nothing was changed; this is what would have been done",
    Status.SKIPPED: "Nothing was done",
    Status.REJECTED: "A person refused the containment: nothing was changed",
    Status.TIMED_OUT: "Nobody answered the approval in time: nothing was changed",
    Status.RESTORED: "Containment was undone, and the resource read back: it is as it was",
    Status.RESTORE_PARTIAL: "Containment was undone in part; what is left is listed",
    Status.CLOSED: "A person has closed the incident",
}
_NOT_YET = (
    "not to be seen in CloudTrail yet (it lags up to 15 minutes); looked for again at the next"
    " check"
)
_UNDONE = frozenset({Status.RESTORED, Status.RESTORE_PARTIAL})


def _setting(name: str) -> str:
    """Of ``notifications``; a configuration that cannot be read must not silence a message."""
    try:
        return str(configuration.load().notifications.get(name) or "")
    except Exception as error:
        runtime.log("no configuration for a message", detail=str(error)[:300])
        return ""


def searches(meta: Json, targets: list[Json]) -> list[str]:
    """notifications.siem_search_url filled in for each principal."""
    template = _setting("siem_search_url")
    if not template or meta.get("playbook") != "iam_principal":
        return []
    return [siem_link.link(template, siem_link.values(meta, one)) for one in targets]


def _subject(tag: str, meta: Json, targets: list[Json]) -> str:
    """SNS: ASCII, at most 100 characters, no line breaks."""
    names = [one["id"] for one in targets or meta.get("targets") or []]
    what = names[0] if len(names) == 1 else (f"{len(names)} resources" if names else "")
    text = f"[{tag}] {meta.get('finding_type')} {what} in {meta.get('account_id')}"
    return finding.text(" ".join(text.encode("ascii", "replace").decode().split()), 100)


def open_tasks(meta: Json, targets: list[Json]) -> list[str]:
    """What people have left to do: every failed action and every check that did not hold, as
    sentences.

    After a restore: what was not restored, with the command where there is one.
    """
    tasks = []
    for target in targets:
        if target["status"] in _UNDONE:
            tasks += [
                f"{target['id']}: {text}"
                for text in target.get("restored", {}).get("not_restored", [])
            ]
            continue
        left = {
            name: part["task"]
            for name, part in sorted((target.get("evidence") or {}).items())
            if part.get("task")
        }
        # a piece of evidence says itself what is left to do
        said = {*left, *(["snapshot"] if "snapshots" in left else [])}
        for name, action in sorted(target.get("actions", {}).items()):
            # remediation lists those
            if action["status"] == "FAILED" and name not in said and not name.startswith("revert/"):
                tasks.append(f"{target['id']}: {name} failed: {action['detail']}")
        tasks += [f"{target['id']}: {text}" for text in left.values()]
        tasks += [
            f"{target['id']}: {text}"
            for part in (target.get("evidence") or {}).values()
            for text in _left(part)
        ]
        tasks += [
            f"{target['id']}: {c['name']}: {c['detail']}"
            for c in target.get("checks", [])
            if not c["ok"]
        ]
    if not tasks and Status(meta["status"]) in ESCALATE:
        tasks = list(meta.get("reasons") or [])[-1:] or ["look at the incident record"]
    return tasks


def _left(part: Json) -> list[str]:
    """What a piece of evidence has found that people have left to do, a sentence each."""
    return [str(text) for text in (part.get("state") or {}).get("left") or []]


def noted(targets: list[Json]) -> list[str]:
    """What evidence has found that changed nothing, and that people want to know (sign-ins,
    secrets read).
    """
    parts = [(one["id"], part) for one in targets for part in (one.get("evidence") or {}).values()]
    return [
        f"{id}: {text}"
        for id, part in parts
        for text in (part.get("state") or {}).get("noted") or []
    ]


def undone(breach: Json) -> list[str]:
    """What a target's ``breach`` tells people: since when, what, and who did it."""
    lines = [f"Found undone at {breach['at']}: {', '.join(breach['checks'])}"]
    for one in breach["by"]:
        lines.append(
            f"Undone by {one['who'] or 'unknown'}: {one['what']} at {one['when']} from"
            f" {one['from']} ({one['agent']}; CloudTrail event {one['event_id']})"
        )
    if not breach["by"]:
        lines.append(f"Undone by: {breach.get('unknown') or _NOT_YET}")
    if breach.get("ended"):
        lines.append(f"Contained again at {breach['ended']}")
    return lines


def ask_restore(prefix: str, playbook: str, asked: Json, more: str = "") -> str:
    """The command by which a person invokes the restore function with ``asked``; ``more``:
    further options.
    """
    return (
        f"aws lambda invoke --function-name {prefix}-restore-{playbook.replace('_', '-')}"
        f" --cli-binary-format raw-in-base64-out --payload '{json.dumps(asked)}'{more} answer.json"
    )


def ask_close(prefix: str, playbook: str, incident_id: str, region: str) -> str:
    """The command by which a person closes an incident, in the response's own Region."""
    asked = {"incident_id": incident_id, "requested_by": "YOU", "close": True}
    return ask_restore(prefix, playbook, asked, f" --region {region}")


def seen(check: Json, target: Json) -> str:
    """Whether a check holds, in a word: of containment, or of a restore."""
    return "holds" if check["ok"] else "not so" if target["status"] in _UNDONE else "OPEN"


def compose(what: str, meta: Json, targets: list[Json], note: str = "") -> tuple[str, str]:
    """(subject, body). ``what``: started | approval | notice | closing | problem | a Status."""
    severity = f"{meta.get('severity', 0):g}"
    tag = meta["status"] if what == "closing" else what.upper()
    lines = [
        f"{_HEADLINES.get(what, what)}",
        "",
        f"Finding   {meta.get('finding_type')} (severity {severity})",
        f"          {meta.get('title', '')}",
        f"Account   {meta.get('account_id')}   Region {meta.get('region')}",
        f"Incident  {meta['incident_id']}   status {meta['status']}",
        f"Mode      {meta.get('mode')}",
        *[f"          {reason}" for reason in meta.get("reasons") or []],
    ]
    if note:
        lines += ["", note]
    for target in targets:
        lines += ["", f"Resource  {target['kind']} {target['id']}: {target['status']}"]
        if target.get("verdict"):
            lines.append(f"          {target['verdict']}")
        if target.get("breach"):
            lines += [f"  {text}" for text in undone(target["breach"])]
        if target.get("attach"):
            lines.append(
                f"          incident {target['attach']} works on this resource; this one only read"
                " it back"
            )
        for name, action in sorted(target.get("actions", {}).items()):
            lines.append(f"  {action['status']:<8} {name}: {action['detail']}")
        restored = target.get("restored") or {}
        for head, texts in (
            ("Restored", restored.get("restored")),
            ("Not restored", restored.get("not_restored")),
        ):
            lines += [f"  {head}", *[f"    - {text}" for text in texts]] if texts else []
        for check in target.get("checks", []):
            lines.append(f"  {seen(check, target):<8} {check['name']}: {check['detail']}")
    tasks = open_tasks(meta, targets) if what not in ("started", "approval", "notice") else []
    if tasks:
        lines += ["", "Left for people to do", *[f"  - {task}" for task in tasks]]
    seen_too = noted(targets) if what == "closing" else []
    lines += ["", "Seen too", *[f"  - {text}" for text in seen_too]] if seen_too else []
    lines += [
        "",
        (
            f"Record    DynamoDB table {os.environ.get('GDR_TABLE')}, key"
            f" INCIDENT#{meta['incident_id']}"
        ),
    ]
    if meta.get("report_key"):
        lines.append(f"Report    s3://{os.environ.get('GDR_BUCKET')}/{meta['report_key']}")
    if url := _setting("runbook_url"):
        lines.append(f"Runbook   {url}")
    lines += [f"Search    {url}" for url in searches(meta, targets)]
    return _subject(tag, meta, targets), "\n".join(lines)


def publish(
    what: str, meta: Json, targets: list[Json], note: str = "", escalate: bool = False
) -> None:
    """Tells the notification topic and, when ``escalate``, the escalation topic. Attributes
    serve filter policies.
    """
    subject, body = compose(what, meta, targets, note)
    attributes = {
        "event": what,
        "status": meta["status"],
        "finding_type": meta.get("finding_type") or "unknown",
        "account_id": meta.get("account_id") or "unknown",
        "incident_id": meta["incident_id"],
    }
    request: Json = {
        "Subject": subject,
        # SNS refuses more than 256 KiB with attributes
        "Message": body.encode()[:200_000].decode(errors="ignore"),
        "MessageAttributes": {
            **{
                name: {"DataType": "String", "StringValue": str(value)}
                for name, value in attributes.items()
            },
            "severity": {"DataType": "Number", "StringValue": f"{meta.get('severity', 0):g}"},
        },
    }
    sns = clients.client("sns")
    topics = [os.environ["GDR_TOPIC_ARN"]]
    if escalate and os.environ["GDR_ESCALATION_TOPIC_ARN"] != topics[0]:
        topics.insert(0, os.environ["GDR_ESCALATION_TOPIC_ARN"])
    failures: list[Exception] = []
    for topic in topics:
        try:
            sns.publish(TopicArn=topic, **request)
        except Exception as error:  # one broken topic must not silence the other
            runtime.log("publish failed", topic=topic, detail=str(error)[:300])
            failures.append(error)
    if failures:
        raise failures[0]


def unverified(record: Any, meta: Json, targets: list[Json], why: str) -> None:
    """Whether containment still holds could not be read: told and escalated once, until it can
    be read again.
    """
    if meta.get("unverified"):
        return
    note = (
        f"Whether the containment still holds could not be read: {why}. It is tried again at every"
        " check; this is told once."
    )
    record.event(meta["incident_id"], "not verified", why, actor="watch")
    publish("problem", meta, targets, note=note, escalate=True)
    record.note(meta["incident_id"], unverified=why[:1000])
