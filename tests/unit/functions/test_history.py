"""The longest incident fits the history of a Standard execution: 25,000 events, then it fails
(AWS Step Functions Developer Guide, "Service quotas").
"""

from __future__ import annotations

from guardduty_response.evidence.collection import pace_after
from guardduty_response.playbooks.ec2_instance.evidence import copies, snapshots

from tests.support.asl_walker import definition
from tests.unit.functions.machine_walk import phase_answer, walk_incident

LIMIT = 25_000
# Entered and exited; a task is scheduled, started and ended besides.
EVENTS = {"Task": 5, "Choice": 2, "Wait": 2, "Pass": 2}
# What else may happen: attempts at throttled starts (five events each), eradication, finish.
OTHERWISE = 8_000
# timeouts.tf: reading logs and trails; forensics that end latest; a replacement.
EVIDENCE_SECONDS, FORENSICS_SECONDS, REPLACEMENT_SECONDS = 6 * 3600, 300 + 240 * 60, 120 * 60


def _events_of_a_poll() -> int:
    walk, _ = walk_incident(
        collect=[phase_answer(done=False, wait_seconds=60, next="collect")] * 2 + [phase_answer()]
    )
    first, second = [at for at, name in enumerate(walk.entered) if name == "Collect"][:2]
    states = definition("incident")["States"]
    return sum(EVENTS[states[name]["Type"]] for name in walk.entered[first:second])


def test_evidence_that_takes_longest_fits_the_history() -> None:
    seconds = (
        snapshots.LIMIT_SECONDS
        + snapshots.POLL_SECONDS
        + copies.LIMIT_SECONDS
        + EVIDENCE_SECONDS
        + FORENSICS_SECONDS
        + REPLACEMENT_SECONDS
    )
    polls = 0
    while seconds > 0:
        polls += 1
        seconds -= pace_after(polls)
    assert _events_of_a_poll() == 11
    assert polls * 11 + OTHERWISE < LIMIT
    assert polls > 1000, "as many as a day and a half need"
