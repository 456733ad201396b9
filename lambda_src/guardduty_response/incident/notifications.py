"""Writes and sends the messages people get: what happened, to what, what is left to do."""

from __future__ import annotations

import os

from guardduty_response.aws import clients
from guardduty_response.aws.log import log
from guardduty_response.decision import configuration, finding
from guardduty_response.incident import siem_link, summary
from guardduty_response.incident.model import IncidentRecord, Notification, TargetRecord
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import ESCALATE, Status

_HEADLINES = {
    "started": "Response started",
    "approval": "Approval needed. Nothing has been changed yet.",
    "notice": "Finding reported. The policy lets nothing act on it.",
    "closing": "Evidence collected, response finished",
    "problem": "The response met a problem. The status is the one last verified.",
    Status.CONTAINED: "Contained and verified",
    Status.PARTIAL: "Partially contained. A person must finish it.",
    Status.FAILED: "NOT contained. A person must act now.",
    Status.CONTAINMENT_LOST: "Containment lost. A person must act now.",
    Status.GONE: "The resource no longer exists",
    Status.DRY_RUN: "Dry run. Nothing was changed; this is what would have been done.",
    Status.SKIPPED: "Nothing was done",
    Status.REJECTED: "Containment rejected. Nothing was changed.",
    Status.TIMED_OUT: "Approval timed out. Nothing was changed.",
    Status.RESTORED: "Restored and verified: every setting is as it was before containment",
    Status.RESTORE_PARTIAL: "Partially restored. What was not restored is listed.",
    Status.CLOSED: "Incident closed by a person",
}
_SAMPLE = "Sample finding. Nothing was attacked, and nobody has to act at once."
_SAMPLE_FAILED = "The rehearsal failed. Find out why before the next real finding."
# Sent before there is anything for people to finish.
_WITHOUT_TASKS = ("started", "approval", "notice")
# SNS refuses more than 256 KiB, attributes included (Amazon SNS API reference, Publish).
_MESSAGE_BYTES = 200_000


def _setting(name: str) -> str:
    """Returns a link from ``notifications``, or "" where there is none.

    A configuration that cannot be read must not silence a message.
    """
    try:
        return str(configuration.load().notifications.get(name) or "")
    except Exception as error:
        log("no configuration for a message", detail=str(error)[:300])
        return ""


def search_links(meta: IncidentRecord, targets: list[TargetRecord]) -> list[str]:
    """Returns notifications.siem_search_url, filled in for each principal."""
    template = _setting("siem_search_url")
    if not template or meta.get("playbook") != "iam_principal":
        return []
    return [siem_link.link(template, siem_link.values(meta, target)) for target in targets]


def _subject(tag: str, meta: IncidentRecord, targets: list[TargetRecord]) -> str:
    """Returns what SNS takes: ASCII, at most 100 characters, no line breaks."""
    names = [target["id"] for target in targets or meta.get("targets") or []]
    resources = f"{len(names)} resources" if names else ""
    if len(names) == 1:
        resources = names[0]
    text = f"[{tag}] {meta.get('finding_type')} {resources} in {meta.get('account_id')}"
    ascii_text = text.encode("ascii", "replace").decode()
    return finding.text(" ".join(ascii_text.split()), 100)


def _severity(meta: IncidentRecord) -> str:
    return f"{meta.get('severity', 0):g}"


def _describe_finding(meta: IncidentRecord) -> list[str]:
    return [
        f"Finding   {meta.get('finding_type')} (severity {_severity(meta)})",
        f"          {meta.get('title', '')}",
        f"Account   {meta.get('account_id')}   Region {meta.get('region')}",
        f"Incident  {meta['incident_id']}   status {meta['status']}",
        *([f"Part of   incident {meta['parent']}"] if meta.get("parent") else []),
        *(f"Also      incident {child}, of another playbook" for child in meta.get("children", [])),
        f"Mode      {meta.get('mode')}",
        *(f"          {reason}" for reason in meta.get("reasons") or []),
    ]


def _section(title: str, sentences: list[str], indent: str = "") -> list[str]:
    """Returns the lines of a list under ``title``; nothing when it is empty."""
    if not sentences:
        return []
    return [f"{indent}{title}", *(f"{indent}  - {text}" for text in sentences)]


def _describe_target(target: TargetRecord, incident_id: str) -> list[str]:
    lines = [f"Resource  {target['kind']} {target['id']}: {target['status']}"]
    if others := summary.other_incidents(target, incident_id):
        lines.append(f"          Its containment is for {', '.join(others)} too.")
    if target.get("verdict"):
        lines.append(f"          {target['verdict']}")
    if target.get("breach"):
        lines += [f"  {text}" for text in summary.containment_loss(target["breach"])]
    for name, action in sorted(target.get("actions", {}).items()):
        lines.append(f"  {action['status']:<8} {name}: {action['detail']}")
    restored = target.get("restored") or {}
    lines += _section("Restored", restored.get("restored") or [], "  ")
    lines += _section("Not restored", restored.get("not_restored") or [], "  ")
    for check in target.get("checks", []):
        result = summary.check_result(check)
        lines.append(f"  {result:<8} {check['name']}: {check['detail']}")
    return lines


def _links(meta: IncidentRecord, targets: list[TargetRecord]) -> list[str]:
    table = os.environ.get("GDR_TABLE")
    lines = [f"Record    DynamoDB table {table}, key INCIDENT#{meta['incident_id']}"]
    if meta.get("report_key"):
        lines.append(f"Report    s3://{os.environ.get('GDR_BUCKET')}/{meta['report_key']}")
    if url := _setting("runbook_url"):
        lines.append(f"Runbook   {url}")
    return lines + [f"Search    {url}" for url in search_links(meta, targets)]


def compose(
    event: str, meta: IncidentRecord, targets: list[TargetRecord], note: str = ""
) -> tuple[str, str]:
    """Returns subject and body. ``event``: started, approval, notice, closing, problem or a Status.

    ``note``: a paragraph below the finding.
    """
    tag = meta["status"] if event == "closing" else event.upper()
    lines = [*_headlines(event, meta), "", *_describe_finding(meta)]
    if note:
        lines += ["", note]
    for target in targets:
        lines += ["", *_describe_target(target, meta["incident_id"])]
    if event not in _WITHOUT_TASKS and (tasks := summary.open_tasks(meta, targets)):
        lines += ["", *_section("Open tasks", tasks)]
    if event == "closing" and (observations := summary.observations(targets)):
        lines += ["", *_section("Also observed", observations)]
    lines += ["", *_links(meta, targets)]
    if meta.get("sample"):
        tag = f"SAMPLE {tag}"
    return _subject(tag, meta, targets), "\n".join(lines)


def _headlines(event: str, meta: IncidentRecord) -> list[str]:
    headline = _HEADLINES.get(event, event)
    if not meta.get("sample"):
        return [headline]
    return [_SAMPLE, _SAMPLE_FAILED if event in ESCALATE else headline]


def _request(
    event: str, meta: IncidentRecord, targets: list[TargetRecord], note: str
) -> Notification:
    subject, body = compose(event, meta, targets, note)
    texts = {
        "event": event,
        "status": meta["status"],
        "finding_type": meta.get("finding_type") or "unknown",
        "account_id": meta.get("account_id") or "unknown",
        "incident_id": meta["incident_id"],
        "sample": "true" if meta.get("sample") else "false",
    }
    attributes = {
        name: {"DataType": "String", "StringValue": str(value)} for name, value in texts.items()
    }
    attributes["severity"] = {"DataType": "Number", "StringValue": _severity(meta)}
    return {
        "Subject": subject,
        "Message": body.encode()[:_MESSAGE_BYTES].decode(errors="ignore"),
        "MessageAttributes": attributes,
    }


def publish(
    event: str,
    meta: IncidentRecord,
    targets: list[TargetRecord],
    note: str = "",
    escalate: bool = False,
) -> None:
    """Sends a message to the notification topic and, with ``escalate``, to the escalation topic.

    ``event`` and ``note`` as for ``compose``. The message's attributes serve filter policies.
    A sample finding escalates nothing. Raises the first error after every topic was tried.
    """
    request = _request(event, meta, targets, note)
    topics = [os.environ["GDR_TOPIC_ARN"]]
    escalate = escalate and not meta.get("sample")
    if escalate and os.environ["GDR_ESCALATION_TOPIC_ARN"] != topics[0]:
        topics.insert(0, os.environ["GDR_ESCALATION_TOPIC_ARN"])
    sns = clients.client("sns")
    failures: list[Exception] = []
    for topic in topics:
        try:
            sns.publish(TopicArn=topic, **request)
        except Exception as error:  # one broken topic must not silence the other
            log("publish failed", topic=topic, detail=str(error)[:300])
            failures.append(error)
    if failures:
        raise failures[0]


def notify_unverified(
    record: IncidentRepository, meta: IncidentRecord, targets: list[TargetRecord], why: str
) -> None:
    """Notifies and escalates, once, that containment could not be read.

    Sends nothing more until it was read again.
    """
    if meta.get("unverified"):
        return
    note = (
        f"Containment could not be verified: {why}. Every recheck tries again; this message is sent"
        " once."
    )
    record.event(meta["incident_id"], "not verified", why, actor="watch")
    publish("problem", meta, targets, note=note, escalate=True)
    record.note(meta["incident_id"], unverified=why[:1000])
