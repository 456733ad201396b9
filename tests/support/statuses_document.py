"""Writes docs/statuses.md from the status table.

``PYTHONPATH=lambda_src python -m tests.support.statuses_document``
"""

from __future__ import annotations

from pathlib import Path

from guardduty_response.incident.statuses import (
    EARLIER_CONTAINMENT,
    ENDED,
    ESCALATE,
    IN_PROGRESS,
    ON_FINDING,
    TRANSITIONS,
    WATCHED,
    Event,
    OnFinding,
    Status,
)

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "statuses.md"


MEANINGS = {
    Status.OPEN: "The finding has arrived and is being judged.",
    Status.AWAITING_APPROVAL: (
        "A person is asked; nothing is changed meanwhile. What an earlier run contained stands."
    ),
    Status.CONTAINING: "Containment is under way.",
    Status.CONTAINED: "Contained, and verified by reading the resource again.",
    Status.PARTIAL: "Contained in part; the record says what is open.",
    Status.FAILED: "Not contained, or not known to be.",
    Status.CONTAINMENT_LOST: "Was contained; a later reading found it undone.",
    Status.NOTIFIED: "The policy lets nothing act: people were told.",
    Status.DRY_RUN: "Nothing was changed; the record says what would have been done.",
    Status.SKIPPED: "Nothing was done; the record says why (paused, exempt, not a finding …).",
    Status.GONE: (
        "The resource no longer exists, and sessions known to outlive it are denied; the verdict"
        " says what may still live."
    ),
    Status.REJECTED: "A person refused the containment.",
    Status.TIMED_OUT: "Nobody answered the approval in time.",
    Status.RESTORED: "Containment was undone on purpose.",
    Status.RESTORE_PARTIAL: "Undone in part; the record says what is left.",
    Status.CLOSED: "A person has closed the incident.",
}
EMISSIONS = {
    OnFinding.START: "evaluated anew",
    OnFinding.VERIFY: "containment is verified again",
    OnFinding.COUNT: "counted only",
}

EARLIER = ", ".join(f"`{event}` from `{status}`" for status, event in EARLIER_CONTAINMENT.items())
RECURRENCES = (
    (
        "It gets the answer that it had: `NOTIFIED`, `DRY_RUN` or `SKIPPED`, with the same mode,"
        " severity and reasons, about the same principal and instance.",
        "Nobody is told again, whatever else was switched meanwhile.",
    ),
    (
        "Something was done to a resource, and the mode has become `notify` since.",
        "It is counted only.",
    ),
    (
        "The incident has ended"
        f" ({', '.join(f'`{status}`' for status in Status if status in ENDED)}), and GuardDuty saw"
        " no activity after that.",
        "It is counted only. This holds for whom its latest run was about, and for others of whom a"
        " run ended so, or whom the incident contained when it was restored or closed. Whom no run"
        " was about is evaluated anew, whatever GuardDuty saw when.",
    ),
    (
        "A run of an incident that contains something was rejected, or not answered in time"
        " (`PARTIAL`), and GuardDuty saw no activity of whom it was about after that.",
        "It is counted only.",
    ),
    (
        "The incident is in progress, and it names another principal or instance; or containing"
        " has begun, and it names a new token of the session.",
        "People are told. It waits until the run has ended, however it ends, and is then evaluated"
        " anew. Of all updates that name the same, one execution waits, and takes the newest.",
    ),
    (
        "The incident is `CONTAINED`, and it names another principal, instance or token.",
        "It is evaluated anew, and contained; what was contained stays so, and is monitored.",
    ),
    (
        "It reopens an incident, and the response ends without acting.",
        f"The incident takes an event according to its earlier status ({EARLIER}): what was done"
        " before still stands.",
    ),
    (
        "It reopens an incident that was `CONTAINED`, `PARTIAL` or `BREACHED`, and the run fails.",
        "It takes that status again (`CONTAINED`: `PARTIAL`), and is monitored on. The failure is"
        " told as a problem, with escalation.",
    ),
)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def render() -> str:
    """The document. Lines end in a newline."""
    lines = [
        "# Statuses of an incident",
        "",
        (
            "Written from `lambda_src/guardduty_response/incident/statuses.py` by"
            " `PYTHONPATH=lambda_src .venv/bin/python -m tests.support.statuses_document`; a test"
        ),
        "holds it against the code.",
        "",
        _row(
            [
                *("status", "meaning", "in progress", "monitored", "escalated"),
                "the same finding again",
            ]
        ),
        _row(["---"] * 6),
    ]
    for status in Status:
        yes = ["yes" if status in group else "" for group in (IN_PROGRESS, WATCHED, ESCALATE)]
        lines.append(_row([f"`{status}`", MEANINGS[status], *yes, EMISSIONS[ON_FINDING[status]]]))
    lines += [
        "",
        "Some recurrences (the same finding again) do something else than the last column says:",
        "",
        _row(["a recurrence", "what happens"]),
        _row(["---"] * 2),
        *[_row(list(cells)) for cells in RECURRENCES],
        "",
        (
            "A monitored incident is verified again at the intervals of the variable `watch`, and"
            " at once when a call can have"
        ),
        (
            "undone its containment. Restoring it, closing it, and the end of the resource"
            " (`GONE`) end the monitoring ([monitoring.md](monitoring.md))."
        ),
        "",
        "## What each event does",
        "",
        (
            "An event that a row does not name is refused there. A recurrence is not an event:"
            " what it does to an incident, and whether it"
        ),
        "reopens the incident, is in the last column of the first table.",
        "",
        _row(["status", "event → new status"]),
        _row(["---"] * 2),
    ]
    for status in Status:
        steps = [
            f"`{event}` → `{TRANSITIONS[status][event]}`"
            for event in Event
            if event in TRANSITIONS[status]
        ]
        lines.append(
            _row(
                [
                    f"`{status}`",
                    "<br>".join(steps) or "none: it stays closed until the finding comes again",
                ]
            )
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(render())
    print(DOCUMENT.relative_to(ROOT))
