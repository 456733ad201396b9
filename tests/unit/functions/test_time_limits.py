"""The time-out of the state machine is made of the functions' own limits (timeouts.tf)."""

from __future__ import annotations

import re

import pytest
from guardduty_response.cloudtrail import query
from guardduty_response.evidence import replication
from guardduty_response.playbooks.ec2_instance import finish
from guardduty_response.playbooks.ec2_instance.evidence import copies, forensics, snapshots
from guardduty_response.playbooks.iam_principal.evidence import trail_queries

from tests.support.repository import ROOT

TEXT = (ROOT / "timeouts.tf").read_text()
HOUR, MINUTE = 3600, 60
LATE = f"{trail_queries.GIVE_UP_SECONDS // MINUTE} * 60 + {query.LAG_SECONDS // MINUTE} * 60"


def _value(part: str) -> str:
    [found] = re.findall(
        rf"^ +{part} += (.+)$",
        TEXT,
        flags=re.MULTILINE,
    )
    return str(found)


@pytest.mark.parametrize(
    ("part", "limits"),
    [
        ("snapshots", f"{snapshots.LIMIT_SECONDS} + {snapshots.POLL_SECONDS // HOUR} * 3600"),
        ("copies", f"{copies.LIMIT_SECONDS // HOUR} * 3600"),
        ("replication", f"{replication.LIMIT_SECONDS // MINUTE} * 60 + 120"),
        (
            "collection",
            f"{forensics.READY_SECONDS} + local.forensics_settings.timeout_minutes * 60",
        ),
        ("second_pass", LATE),
        ("finish", f"2 * {finish.ATTEMPTS} * (15 + 120)"),
    ],
)
def test_each_part_has_the_limit_of_its_function(part: str, limits: str) -> None:
    assert limits in _value(part)
