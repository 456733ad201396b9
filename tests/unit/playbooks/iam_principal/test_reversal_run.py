"""What a principal did is undone, what cannot be is told, and it is all as it was after a
restore: the whole of it at once.
"""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from guardduty_response.incident import summary
from guardduty_response.incident.model import TargetRecord
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal.eradicate import (
    reversal_table,
)

from tests.unit.deployment import MEMBER, REGION, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import (
    DENY_ALL,
    INCIDENT,
    EradicationLab,
)
from tests.unit.playbooks.iam_principal.eradication_scenario import picture, spree

Json = dict[str, Any]


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    return EradicationLab(deployment, monkeypatch)


def test_a_spree_is_undone_and_what_is_left_is_told(lab: EradicationLab) -> None:
    made = spree(lab)
    step = lab.eradicate()
    assert picture(lab, made) == {
        "policies": [DENY_ALL],
        "keys": {made["key"]: "Inactive"},
        "instance": "stopped",
        "rules": [],
        "logging": True,
    }
    [left] = lab.left
    assert "CreateVpc by user/alice from 198.51.100.7" in left
    assert f"aws ec2 delete-vpc --vpc-id vpc-{left.partition('--vpc-id vpc-')[2]}" in left
    assert left.endswith(f"--region {REGION}")
    assert set(lab.lines().values()) == {"DONE"}
    kept = lab.kept()
    assert (kept["outcome"], kept["detail"], step.next_step) == (
        "COMPLETE",
        "5 reverted, 1 left for people",
        "",
    )
    assert kept["task"] and kept["objects"][0]["key"] in kept["task"]
    rows = json.loads(
        lab.deployment.s3.get_object(Bucket=lab.bucket, Key=kept["objects"][0]["key"])[
            "Body"
        ].read()
    )
    assert [row["status"] for row in rows].count("DONE") == 5 and len(rows) == 6
    tasks = summary.open_tasks({"status": "CONTAINED"}, [cast(TargetRecord, lab.stored_record())])
    assert any(kept["task"] in task for task in tasks)


def test_repeated_delivery_changes_nothing(lab: EradicationLab) -> None:
    made = spree(lab)
    lab.eradicate()
    after, stored_record = picture(lab, made), lab.stored_record()["actions"]
    lab.calls.clear()
    lab.once()
    assert lab.changed() == [], "a round that was handled is not handled again"
    state = {
        **lab.kept("remediation"),
        "state": {},
        "objects": [],
    }
    # as if the call had died before it wrote
    lab.record.evidence(
        INCIDENT,
        lab.kind,
        lab.name,
        "remediation",
        state,
    )
    lab.once()
    assert (lab.changed(), picture(lab, made)) == ([], after)
    assert lab.kept()["detail"] == "5 reverted, 1 left for people", (
        "what was reverted earlier counts as that"
    )
    lines = lab.stored_record()["actions"]
    assert all(
        lines[name] == line for name, line in stored_record.items() if name.startswith("revert/")
    ), "with its time and request id"


def test_restored_it_is_as_it_was_but_for_what_is_named(lab: EradicationLab) -> None:
    made = spree(lab)
    before = picture(lab, made)
    lab.eradicate()
    result = lab.restore()
    assert picture(lab, made) == {**before, "logging": True}
    assert result.status is Status.RESTORE_PARTIAL
    [text] = result.not_restored
    assert (
        "trail everything was stopped and logs again" in text
        and "aws cloudtrail stop-logging --name everything" in text
    )
    assert lab.stored_record()["actions"]["restore_revert"]["status"] == "DONE"
    lab.calls.clear()
    assert lab.restore().status is Status.RESTORE_PARTIAL
    assert (lab.changed(), picture(lab, made)) == ([], {**before, "logging": True})


def test_what_changed_since_is_not_restored(lab: EradicationLab) -> None:
    made = spree(lab)
    lab.eradicate()
    lab.see("ec2").terminate_instances(InstanceIds=[made["instance"]])
    lab.see("iam").delete_access_key(UserName="mallory", AccessKeyId=made["key"])
    result = lab.restore()
    assert f"{made['instance']} no longer exists" in str(result.not_restored)
    assert f"access key {made['key']} of user mallory no longer exists" in str(result.not_restored)
    assert picture(lab, made)["policies"] == []


# -- what is only told -----------------------------------------------------------------------------


def test_kinds_that_are_off_are_told_with_their_command(lab: EradicationLab) -> None:
    lab.options["remediate"] = ["trails"]
    made = spree(lab)
    before = picture(lab, made)
    lab.eradicate()
    assert picture(lab, made) == {**before, "logging": True}
    assert len(lab.left) == 5
    text = " ".join(lab.left)
    for manual_command in (
        f"aws iam attach-user-policy --policy-arn {DENY_ALL} --user-name mallory",
        f"--access-key-id {made['key']}",
        f"aws ec2 stop-instances --instance-ids {made['instance']}",
        "aws ec2 revoke-security-group-ingress --group-id",
        "users is not in remediate",
    ):
        assert manual_command in text
    assert set(lab.lines()) == {"StopLogging"}, "no line for what was not tried"


def test_sign_ins_and_secrets_read_are_noted(lab: EradicationLab) -> None:
    lab.happened("signin", "ConsoleLogin", {})
    lab.happened("sts", "AssumeRole", {"roleArn": f"arn:aws:iam::{MEMBER}:role/admin"})
    lab.happened("secretsmanager", "GetSecretValue", {"secretId": "db"})
    lab.eradicate()
    assert lab.left == [] and lab.kept()["task"] == ""
    noted = lab.kept()["state"]["noted"]
    assert [text.split()[1] for text in noted] == ["GetSecretValue", "AssumeRole", "ConsoleLogin"]
    assert lab.kept()["detail"] == "0 reverted, 0 left for people, 3 worth knowing"


def test_nothing_listed(lab: EradicationLab) -> None:
    assert lab.once().done
    entry = {
        "outcome": "FAILED",
        "detail": "",
        "objects": [],
        "task": "",
        "state": {"changes": [], "listed": 0},
    }
    lab.record.evidence(
        INCIDENT,
        lab.kind,
        lab.name,
        "actions",
        entry,
    )
    assert lab.once().done
    assert lab.kept()["outcome"] == "PARTIAL" and "could not be listed" in lab.kept()["detail"]


def test_listing_switched_off(lab: EradicationLab) -> None:
    entry = {
        "outcome": "SKIPPED",
        "detail": "",
        "objects": [],
        "task": "",
        "state": {},
    }
    lab.record.evidence(
        INCIDENT,
        lab.kind,
        lab.name,
        "actions",
        entry,
    )
    assert lab.once().done
    assert lab.kept() == {}


def test_what_a_role_session_did(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = EradicationLab(
        deployment, monkeypatch, kind="role_session", name="app/i-0123456789abcdef0"
    )
    made = spree(lab)
    before = picture(lab, made)
    lab.eradicate()
    assert lab.kept()["detail"] == "5 reverted, 1 left for people"
    assert lab.restore().status is Status.RESTORE_PARTIAL
    assert picture(lab, made) == {**before, "logging": True}


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"id": 1, "name": "x", "source": "y"},
        "text",
        None,
        {"id": "a", "name": "b", "source": "iam", "parameters": "no", "response": [1]},
        {
            "id": "a",
            "name": "CreateAccessKey",
            "source": "iam.amazonaws.com",
            "account": "222222222222",
        },
    ],
)
def test_what_is_no_change_stops_nothing(lab: EradicationLab, broken: Any) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    lab.events.append(broken)
    lab.eradicate()
    assert lab.lines()["CreateUser"] == "DONE"


def test_every_kind_of_the_option_undoes_something() -> None:
    from tests.unit.playbooks.iam_principal.eradication_lab import KINDS

    assert {reversal.category for reversal in reversal_table.REVERSALS.values()} == set(KINDS)
