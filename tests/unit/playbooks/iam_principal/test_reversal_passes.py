"""Passes, batches, bounds and failures of eradication."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from guardduty_response.playbooks.iam_principal.eradicate import (
    eradication_context,
    run,
)

from tests.unit.deployment import MEMBER, PREFIX, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import (
    EradicationLab,
)

Json = dict[str, Any]


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    return EradicationLab(deployment, monkeypatch)


def test_a_second_pass_comes_after_the_first(lab: EradicationLab) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    step = lab.eradicate(more=True)
    assert (step.next_step, lab.kept()["state"]["handled"]) == ("collect", 1)
    lab.does("iam", "create_user", UserName="trudy")
    lab.calls.clear()
    step = lab.eradicate()
    assert (step.next_step, lab.kept()["state"]["handled"], lab.kept()["detail"]) == (
        "",
        2,
        "2 reverted, 0 left for people",
    )
    users = {params["UserName"] for name, params in lab.calls if name == "AttachUserPolicy"}
    assert users == {"trudy"}, "the first round's changes are not dealt with again"
    assert "CreateVpc" not in str(lab.left)


def test_in_pieces(lab: EradicationLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "BATCH_SIZE", 2)
    monkeypatch.setattr(run, "BATCHES", 1)
    for number in range(5):
        lab.does("iam", "create_user", UserName=f"mallory{number}")
    lab.list()
    steps = [lab.once()]
    while not steps[-1].done:
        steps.append(lab.once())
    assert [step.done for step in steps] == [False, False, True]
    assert lab.kept()["detail"] == "5 reverted, 0 left for people"
    assert len(lab.kept()["objects"]) == 3
    assert len([name for name, _ in lab.calls if name == "AttachUserPolicy"]) == 5


def test_time_is_up_between_two_changes(
    lab: EradicationLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100_000, 40))
    monkeypatch.setattr(
        time,
        "monotonic",
        lambda: next(clock),
    )
    for number in range(4):
        lab.does("iam", "create_user", UserName=f"mallory{number}")
    lab.list()
    assert not lab.once().done
    assert 0 < len([name for name, _ in lab.calls if name == "AttachUserPolicy"]) < 4
    lab.events = []
    while not lab.once().done:
        pass
    assert lab.kept()["detail"] == "4 reverted, 0 left for people"


def test_the_record_has_room_for_so_many(
    lab: EradicationLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eradication_context, "MOST_REVERSALS", 2)
    monkeypatch.setattr(eradication_context, "MOST_LOGGED", 3)
    for number in range(5):
        lab.does("iam", "create_user", UserName=f"mallory{number}")
    lab.eradicate()
    assert lab.kept()["detail"] == "2 reverted, 3 left for people"
    assert len(lab.lines()) == 1
    actions = lab.stored_record()["actions"]
    assert len([name for name in actions if name.startswith("revert/")]) == 3
    assert all("aws iam attach-user-policy" in text for text in lab.left)


def test_many_sentences_do_not_fill_the_record(lab: EradicationLab) -> None:
    for number in range(300):
        lab.happened(
            "ec2",
            "CreateTags",
            {"n": number, "long": "x" * 1000},
        )
    lab.eradicate()
    assert len(lab.left) == run.MOST_MANUAL and all(len(text) <= 400 for text in lab.left)
    assert len(json.dumps(lab.stored_record(), default=str)) < 100_000
    assert lab.kept()["detail"] == "0 reverted, 300 left for people"
    rows = [
        row
        for entry in lab.kept()["objects"]
        for row in json.loads(
            lab.deployment.s3.get_object(Bucket=lab.bucket, Key=entry["key"])["Body"].read()
        )
    ]
    assert len(rows) == 300 and all(f"AttributeValue={row['id']}" in row["by_hand"] for row in rows)


def test_credentials_first_and_the_newest_first(lab: EradicationLab) -> None:
    for name in ("mallory", "trudy"):
        lab.does(
            "ec2",
            "run_instances",
            ImageId="ami-12c6146b",
            MinCount=1,
            MaxCount=1,
        )
        lab.does("iam", "create_user", UserName=name)
    lab.eradicate()
    assert lab.changed() == [
        "AttachUserPolicy",
        "AttachUserPolicy",
        "StopInstances",
        "StopInstances",
    ]
    assert [params["UserName"] for name, params in lab.calls if name == "AttachUserPolicy"] == [
        "trudy",
        "mallory",
    ]


def test_recorded_before_it_is_changed(lab: EradicationLab) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    seen: list[Json] = []
    lab.hooks["AttachUserPolicy"] = lambda _: seen.append(lab.stored_record()["before"])
    lab.eradicate()
    [[before_state]] = [list(states.values()) for states in seen]
    assert (before_state["what"], before_state["user"], before_state["attached"]) == (
        "user",
        "mallory",
        False,
    )


def test_what_is_not_seen_on_reading_back_is_judged_anew(
    lab: EradicationLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IAM is eventually consistent: an early read may show how it was."""
    from guardduty_response.playbooks.iam_principal import resource_state

    lab.does("iam", "create_user", UserName="mallory")
    lab.list()
    read, late = resource_state.attached, [True]
    monkeypatch.setattr(
        resource_state,
        "attached",
        lambda *a: [] if late[0] else read(*a),
    )
    assert not lab.once().done
    assert lab.lines() == {}
    late[0] = False
    assert lab.once().done
    assert (lab.lines(), lab.kept()["detail"]) == (
        {"CreateUser": "DONE"},
        "1 reverted, 0 left for people",
    )
    assert lab.changed().count("AttachUserPolicy") == 1
    lab.calls.clear()


def test_what_is_never_seen_is_told(lab: EradicationLab, monkeypatch: pytest.MonkeyPatch) -> None:
    from guardduty_response.playbooks.iam_principal import resource_state

    lab.does("iam", "create_user", UserName="mallory")
    monkeypatch.setattr(
        resource_state,
        "attached",
        lambda *_: [],
    )
    lab.eradicate()
    assert (
        lab.lines() == {"CreateUser": "FAILED"}
        and "the verification does not show it" in lab.left[0]
    )


def test_one_failure_touches_no_other(lab: EradicationLab) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    lab.does("iam", "create_user", UserName="trudy")
    lab.fail("AttachUserPolicy", "AccessDenied", times=1)
    lab.eradicate()
    kept = lab.kept()
    assert (kept["outcome"], kept["detail"]) == ("PARTIAL", "1 reverted, 1 left for people")
    [left] = lab.left
    assert (
        "failed (AccessDenied: injected)" in left
        and "aws iam attach-user-policy --policy-arn" in left
    )
    assert {
        entry["status"]
        for name, entry in lab.stored_record()["actions"].items()
        if name.startswith("revert/")
    } == {"DONE", "FAILED"}


def test_throttled_is_asked_again(lab: EradicationLab) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    lab.does("ec2", "create_vpc", CidrBlock="10.9.0.0/16")
    lab.fail("AttachUserPolicy", "ThrottlingException", times=1)
    lab.list()
    step = lab.once()
    assert (step.done, step.wait_seconds) == (False, run.WAIT_SECONDS)
    assert lab.once().done
    assert lab.lines() == {"CreateUser": "DONE"}


def test_when_nothing_goes_on_the_machine_repeats(lab: EradicationLab) -> None:
    lab.does("iam", "create_user", UserName="mallory")
    lab.fail("AttachUserPolicy", "ThrottlingException")
    lab.list()
    for _ in range(run.TRIES):
        with pytest.raises(Exception, match="ThrottlingException"):
            lab.once()
    assert lab.once().done, "asked often enough"
    assert lab.kept()["outcome"] == "PARTIAL"
    assert "ThrottlingException" in lab.left[0]


def test_no_role_no_thousand_calls(lab: EradicationLab, monkeypatch: pytest.MonkeyPatch) -> None:
    from guardduty_response.errors import RoleUnavailable

    class Shut:
        def client(self, service: str) -> Any:
            raise RoleUnavailable(
                f"cannot assume {PREFIX}-remediator-iam-principal in account {MEMBER}"
            )

    for number in range(3):
        lab.does("iam", "create_user", UserName=f"mallory{number}")
    asked: list[str] = []

    def refuse(*_: Any) -> Shut:
        asked.append("")
        return Shut()

    monkeypatch.setattr(lab, "assume", refuse)
    lab.eradicate()
    assert len(asked) == 1 and lab.kept()["detail"] == "0 reverted, 3 left for people"
    assert all(
        "cannot assume" in text and "aws iam attach-user-policy" in text for text in lab.left
    )
