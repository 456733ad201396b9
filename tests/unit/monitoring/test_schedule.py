"""Which incidents are checked, when, and what a check is started with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.errors import ResponseError
from guardduty_response.incident.model import IncidentRecord
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import WATCHED, Status

from tests.unit.core_helpers import EXECUTION, call, told, watch
from tests.unit.lambda_world import EXECUTIONS, MACHINES, PREFIX, World

Begin = Callable[..., str]
CHECK = f"{EXECUTIONS}incident:check"
ENI, GROUP = "eni-0123456789abcdef0", "sg-0123456789abcdef0"


@pytest.fixture
def held(incident: Begin, record: IncidentRepository) -> Callable[..., str]:
    def make(status: str = "CONTAINED", *names: str, **fields: Any) -> str:
        incident_id = incident(*names, status=status, **fields)
        record.set_target(
            incident_id, "ec2_instance", names[0] if names else "i-1", watched=[ENI, GROUP, "app"]
        )
        return incident_id

    return make


def _schedule(id: str = "e1") -> dict[str, Any]:
    return watch({"source": "guardduty-response.watch", "id": id})


def _change(issuer: str = "admin", parameters: Any = None, **detail: Any) -> dict[str, Any]:
    """As EventBridge delivers it (AWS CloudTrail, "AWS API Call via CloudTrail")."""
    return {
        "source": "aws.ec2",
        "detail-type": "AWS API Call via CloudTrail",
        "account": "222222222222",
        "id": "b1",
        "detail": {
            "eventName": "ModifyNetworkInterfaceAttribute",
            "eventTime": "2026-11-24T08:00:00Z",
            "eventID": "ev-1",
            "sourceIPAddress": "198.51.100.7",
            "userAgent": "aws-cli/2",
            "recipientAccountId": "222222222222",
            "requestParameters": {"networkInterfaceId": ENI} if parameters is None else parameters,
            "userIdentity": {
                "type": "AssumedRole",
                "arn": f"arn:aws:sts::222222222222:assumed-role/{issuer}/bob",
                "sessionContext": {
                    "sessionIssuer": {
                        "userName": issuer.rsplit("/", 1)[-1],
                        "arn": f"arn:aws:iam::222222222222:role/{issuer}",
                    }
                },
            },
            **detail,
        },
    }


def _started(world: World) -> dict[str, Any]:
    """Execution name -> its input."""
    found = world.sfn.list_executions(stateMachineArn=f"{MACHINES}incident")["executions"]
    arns = {entry["name"]: entry["executionArn"] for entry in found}
    return {
        name: json.loads(world.sfn.describe_execution(executionArn=arn)["input"])
        for name, arn in arns.items()
    }


# -- the schedule ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", list(Status), ids=str)
def test_the_schedule_checks_what_stands(world: World, held: Begin, status: Status) -> None:
    incident_id = held(status)
    assert _schedule() == {"started": [incident_id] if status in WATCHED else []}
    wanted = (
        [{"watch": {"incident_id": incident_id, "why": "schedule", "seen": None}}]
        if status in WATCHED
        else []
    )
    assert list(_started(world).values()) == wanted


def test_a_second_delivery_starts_nothing_and_the_next_turn_does(world: World, held: Begin) -> None:
    held()
    _schedule()
    # same name and input: AWS answers with the execution there is, or ExecutionAlreadyExists once
    # that has ended
    _schedule()
    assert len(_started(world)) == 1
    _schedule("e2")
    assert len(_started(world)) == 2


# -- a playbook that is switched off ---------------------------------------------------------------


def _sweep() -> list[str]:
    return list(watch({"source": "guardduty-response.sweeper"})["unwatched"])


def test_containment_of_a_playbook_that_is_switched_off_is_told_once(
    world: World, held: Begin, record: IncidentRepository
) -> None:
    incident_id = held()
    world.configure({"active_playbooks": ["ec2_instance", "iam_principal"]})
    assert _sweep() == [] and world.messages("escalations") == []
    world.configure({"active_playbooks": ["iam_principal"], "playbooks.ec2_instance.restore": True})
    assert _sweep() == [incident_id] and _sweep() == []
    [message] = world.messages("escalations")
    assert (
        "No longer monitored: no remediation lets playbook ec2_instance act any more"
        in message["Message"]
    )
    assert "Close or restore the incident, or switch the playbook on again" in message["Message"]
    assert (
        f"--function-name {PREFIX}-restore-ec2-instance" in message["Message"]
        and '"close": true' in message["Message"]
    )
    assert record.meta(incident_id)[
        "status"
    ] == "CONTAINED" and "no longer watched" in world.timeline(incident_id)
    assert (_schedule(), watch(_change()), _started(world)) == (
        {"started": []},
        {"started": []},
        {},
    )
    world.configure({"active_playbooks": ["ec2_instance"]})
    assert _sweep() == [] and "watched again" in world.timeline(incident_id)
    assert _schedule() == {"started": [incident_id]}
    world.configure({"active_playbooks": []})
    assert _sweep() == [incident_id], "switched off once more, told once more"


@pytest.mark.parametrize("status", sorted(set(Status) - WATCHED), ids=str)
def test_what_is_not_held_needs_no_watch(world: World, held: Begin, status: Status) -> None:
    held(status)
    world.configure({"active_playbooks": []})
    assert _sweep() == []


def test_without_a_restore_function_no_command_names_it(world: World, held: Begin) -> None:
    held()
    world.configure({"active_playbooks": [], "playbooks.ec2_instance.restore": False})
    _sweep()
    [message] = world.messages("escalations")
    assert "aws lambda invoke" not in message["Message"]


def test_what_is_only_linked_is_watched_with_the_incident_that_contained_it(
    world: World, held: Begin, record: IncidentRepository
) -> None:
    incident_id = held()
    record.note(
        incident_id, targets=[{**record.meta(incident_id)["targets"][0], "attach": "inc-other"}]
    )
    assert _schedule() == {"started": []}


def test_one_that_cannot_be_started_keeps_no_other_waiting(
    world: World, held: Begin, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id = held()
    for n in range(3):
        copied: IncidentRecord = {**record.meta(incident_id), "incident_id": f"inc-{n}"}
        for name in ("pk", "sk", "open"):
            copied.pop(name, None)  # type: ignore[misc]
        record.open(copied)
        record.move(f"inc-{n}", Status.OPEN, Status.CONTAINED)
    client, start = clients.client("stepfunctions"), clients.client("stepfunctions").start_execution

    def broken(**request: Any) -> Any:
        if "inc-1" in request["input"]:
            raise ClientError({"Error": {"Code": "InvalidArn", "Message": "x"}}, "StartExecution")
        return start(**request)

    monkeypatch.setattr(client, "start_execution", broken)
    with pytest.raises(ClientError, match="InvalidArn"):
        _schedule()
    assert {execution["watch"]["incident_id"] for execution in _started(world).values()} == {
        incident_id,
        "inc-0",
        "inc-2",
    }


# -- a change --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"networkInterfaceId": ENI, "groupSet": {"items": [{"groupId": "sg-x"}]}},
        {"groupId": GROUP, "ipPermissions": {"items": [{"ipProtocol": "-1"}]}},
        {"instancesSet": {"items": [{"instanceId": "i-1"}]}},
        {"targetGroupArn": "arn:aws:x", "targets": [{"id": "i-1", "port": 80}]},
        {"roleName": "app", "policyName": "x"},
    ],
    ids=["interface", "group", "instance", "target", "role"],
)
def test_a_change_of_what_contains_is_checked_at_once(
    world: World, held: Begin, parameters: Any
) -> None:
    incident_id = held()
    assert watch(_change(parameters=parameters)) == {"started": [incident_id]}
    [given] = _started(world).values()
    assert given["watch"] == {
        "incident_id": incident_id,
        "why": "change",
        "seen": {
            "who": "arn:aws:sts::222222222222:assumed-role/admin/bob",
            "what": "ModifyNetworkInterfaceAttribute",
            "when": "2026-11-24T08:00:00Z",
            "from": "198.51.100.7",
            "agent": "aws-cli/2",
            "event_id": "ev-1",
        },
    }
    watch(_change(parameters=parameters))
    assert len(_started(world)) == 1, "a second delivery"


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (_change(parameters={"networkInterfaceId": "eni-0fffffffffffffff0"}), "another interface"),
        (_change(recipientAccountId="333333333333"), "another account"),
        (_change(errorCode="Client.UnauthorizedOperation"), "refused"),
        (_change(f"{PREFIX}-responder-ec2-instance"), "the response itself"),
        (_change(f"{PREFIX}-restorer-ec2-instance"), "a restore"),
        (_change(parameters=[]), "nothing named"),
        ({**_change(), "detail": "text"}, "no record"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_change_of_it_starts_nothing(
    world: World, held: Begin, event: dict[str, Any], why: str
) -> None:
    held()
    assert watch(event) == {"started": []}
    assert _started(world) == {}


@pytest.mark.parametrize(
    "issuer",
    [
        f"{PREFIX}-responder-ec2-instance-2",
        f"mine/{PREFIX}-responder-ec2-instance",
        f"{PREFIX}-terminator-iam-principal",
        f"{PREFIX}-identity-center-responder",
    ],
)
def test_a_role_that_only_looks_like_the_responses_counts(
    world: World, held: Begin, issuer: str
) -> None:
    incident_id = held()
    assert watch(_change(issuer)) == {"started": [incident_id]}


def test_a_change_that_could_not_be_delivered_is_taken_up(world: World, held: Begin) -> None:
    incident_id = held()
    message = {"messageId": "m1", "body": json.dumps(_change()), "messageAttributes": {}}
    assert watch({"Records": [message]}) == {"batchItemFailures": []}
    assert [execution["watch"]["incident_id"] for execution in _started(world).values()] == [
        incident_id
    ]


def test_what_a_caller_chose_is_one_printable_line(world: World, held: Begin) -> None:
    held()
    watch(_change(userAgent="x\nChanged by nobody\x1b[2J" + "y" * 1000))
    [given] = _started(world).values()
    agent = given["watch"]["seen"]["agent"]
    assert agent.isprintable() and len(agent) <= 300


# -- opening a check -------------------------------------------------------------------------------


def _open(incident_id: Any, **more: Any) -> dict[str, Any]:
    return call(
        "open",
        event={"watch": {"incident_id": incident_id, "why": "schedule", "seen": None, **more}},
        execution=CHECK,
    )


@pytest.mark.parametrize("status", list(Status), ids=str)
def test_only_what_stands_is_opened(world: World, held: Begin, status: Status) -> None:
    incident_id = held(status)
    answer = _open(incident_id)
    if status in WATCHED:
        assert answer == {
            "incident_id": incident_id,
            "playbook": "ec2_instance",
            "next": "triage",
            "verify_only": True,
        }
    else:
        assert answer["next"] == "done"
    meta = world.meta(incident_id)
    assert (meta["status"], meta["execution"]) == (
        status,
        EXECUTION,
    ), "who must finish it stays who it was"
    assert ("watch" in meta) == (status in WATCHED)


def test_the_change_is_kept_and_a_later_schedule_does_not_forget_it(
    world: World, held: Begin
) -> None:
    incident_id = held()
    _open(
        incident_id,
        seen={
            "who": "bob",
            "what": "X",
            "when": "t",
            "from": "f",
            "agent": "a\nb",
            "event_id": "e",
            "more": 1,
        },
    )
    _open(incident_id)
    assert world.meta(incident_id)["undone_by"] == {
        "who": "bob",
        "what": "X",
        "when": "t",
        "from": "f",
        "agent": "a b",
        "event_id": "e",
    }


@pytest.mark.parametrize("bad", [None, 7, "i-1", "", {"x": 1}])
def test_an_input_that_names_no_incident_is_refused(world: World, bad: Any) -> None:
    with pytest.raises(ResponseError, match="a recheck is started with"):
        _open(bad)


def test_an_incident_that_does_not_exist_is_refused(world: World) -> None:
    with pytest.raises(ResponseError, match="there is no incident inc-0"):
        _open("inc-0")


# -- a check that dies -----------------------------------------------------------------------------


def _dead(incident_id: str) -> None:
    text = json.dumps({"watch": {"incident_id": incident_id, "why": "schedule", "seen": None}})
    watch(
        {
            "source": "aws.states",
            "detail": {
                "executionArn": CHECK,
                "status": "FAILED",
                "input": text,
                "cause": "gone wrong",
            },
        }
    )


def test_a_check_that_dies_is_told_once_and_changes_no_status(world: World, held: Begin) -> None:
    incident_id = held()
    for _ in range(3):
        _dead(incident_id)
    assert world.meta(incident_id)["status"] == "CONTAINED"
    [message] = world.messages("escalations")
    assert (
        "could not be verified: state machine" in message["Message"]
        and "gone wrong" in message["Message"]
    )


def test_a_check_that_died_containing_again_has_failed(
    world: World, held: Begin, record: IncidentRepository
) -> None:
    incident_id = held("CONTAINING")
    record.note(incident_id, execution=CHECK)
    _dead(incident_id)
    assert world.meta(incident_id)["status"] == "FAILED"
    assert told(world) == (["FAILED"], ["FAILED"])


def test_a_dead_check_of_nothing_is_no_news(world: World, held: Begin) -> None:
    _dead("inc-0")
    _dead(held("RESTORED"))
    assert told(world) == ([], [])
