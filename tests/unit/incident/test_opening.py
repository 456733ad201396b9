"""A finding arrives: exactly one of the two machines answers, and nothing ends in silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.decision import finding
from guardduty_response.errors import ConfigError, MalformedFinding, ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident import open_index
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import BUCKET, TABLE, Deployment
from tests.unit.function_calls import EXECUTION, NOTICE, OUTBOX, call, kinds, notified, watch

Make = Callable[..., dict[str, Any]]


def _id(event: Any) -> str:
    return finding.parse(event).incident_id


def _both(event: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both rules match: both machines see the finding, in either order."""
    return call("open", event=event), call("notice", event=event, execution=NOTICE)


# -- exactly one machine answers -------------------------------------------------------------------


@pytest.mark.parametrize("notice_first", [False, True])
@pytest.mark.parametrize(
    ("mode", "answer"),
    [
        ("auto", "incident"),
        ("approve", "incident"),
        ("dry_run", "incident"),
        ("notify", "notice"),
        ("off", ""),
    ],
)
def test_every_mode_lands_in_one_machine(
    deployment: Deployment, finding_event: Make, mode: str, answer: str, notice_first: bool
) -> None:
    deployment.configure({"remediations": {"CryptoCurrency:EC2/*": mode}})
    event = finding_event()
    if notice_first:
        call("notice", event=event, execution=NOTICE)
    opened, _ = _both(event)
    if not answer:
        assert (opened["next"], deployment.incidents(), notified(deployment)) == (
            "done",
            [],
            ([], []),
        )
        return
    [meta] = deployment.incidents()
    assert meta["mode"] == mode
    assert meta["execution"] == (EXECUTION if answer == "incident" else NOTICE)
    assert opened["next"] == ("triage" if answer == "incident" else "done")
    assert kinds(deployment.messages()) == (["notice"] if answer == "notice" else [])


def test_below_its_severity_a_finding_is_told_only(
    deployment: Deployment, finding_event: Make
) -> None:
    deployment.configure({"minimum_severity": {"auto": 7, "approve": 4, "dry_run": 4}})
    opened, _ = _both(finding_event(severity=3.9))
    assert opened["next"] == "done"
    assert deployment.meta(_id(finding_event()))["status"] == "NOTIFIED"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "unauthorizedaccess_iamuser_consoleloginsuccess_b",
            "playbook iam_principal is not switched on anywhere",
        ),
        ("unauthorizedaccess_ec2_sshbruteforce_target", "isolating it would serve the attacker"),
        ("recon_ec2_portprobeunprotectedport", "isolating it would serve the attacker"),
    ],
)
def test_what_has_no_playbook_is_told_whatever_the_policy(
    deployment: Deployment, finding_event: Make, name: str, said: str
) -> None:
    deployment.configure({"remediations": {"*": "auto"}})
    opened, _ = _both(finding_event(name))
    assert opened["next"] == "done"
    [message] = deployment.messages()
    assert said in message["Message"]
    assert "auto became notify" in message["Message"]


def test_archived_findings_get_no_answer(deployment: Deployment, finding_event: Make) -> None:
    for archived in (True, "true"):
        event = finding_event()
        event["detail"]["service"]["archived"] = archived
        for mode in ("auto", "notify"):
            deployment.configure({"remediations": {"*": mode}})
            opened, _ = _both(event)
            assert opened["next"] == "done"
    assert (deployment.incidents(), notified(deployment)) == ([], ([], []))


# -- what is kept ----------------------------------------------------------------------------------


def test_the_record_and_the_evidence(deployment: Deployment, finding_event: Make) -> None:
    sha, event = deployment.configure(), finding_event()
    answer = call("open", event=event)
    incident_id = _id(event)
    [name] = deployment.evidence(incident_id)
    assert answer == {
        "incident_id": incident_id,
        "playbook": "ec2_instance",
        "finding_key": f"incidents/{incident_id}/{name}",
        "account_id": "222222222222",
        "region": "us-east-1",
        "next": "triage",
        "verify_only": False,
    }
    meta = deployment.meta(incident_id)
    detail = event["detail"]
    expected = {
        "status": "OPEN",
        "open": open_index.value_of(incident_id, Status.OPEN),
        "finding_id": detail["id"],
        "finding_type": detail["type"],
        "mode": "auto",
        "account_id": detail["accountId"],
        "region": detail["region"],
        "resource_type": "Instance",
        "sample": False,
        "playbook": "ec2_instance",
        "config_sha256": sha,
        "severity": detail["severity"],
        "title": detail["title"],
    }
    assert {name: meta.get(name) for name in expected} == expected
    assert deployment.timeline(incident_id) == ["opened"]
    [(name, content)] = deployment.evidence(incident_id).items()
    assert meta["finding_key"] == f"incidents/{incident_id}/{name}"
    assert evidence_store.get_event(meta["finding_key"]) == event
    assert content == finding.canonical(event).encode()


def test_ten_emissions_make_one_incident_and_keep_each_distinct_one(
    deployment: Deployment, finding_event: Make
) -> None:
    answers = []
    for number in range(10):
        event = finding_event()
        event["detail"]["service"]["count"] = number // 5 + 1
        answers.append(call("open", event=event, execution=f"{EXECUTION}{number}")["next"])
    assert answers == ["triage"] + ["done"] * 9
    [meta] = deployment.incidents()
    assert meta["emissions"] == 10
    assert len(deployment.evidence(meta["incident_id"])) == 2
    assert deployment.timeline(meta["incident_id"]).count("finding recurred") == 9


def test_a_finding_larger_than_a_payload_comes_by_pointer(
    deployment: Deployment, finding_event: Make
) -> None:
    event = finding_event(padding="x" * 600_000)
    key = evidence_store.put_event(_id(event), event)["key"]
    assert call("open", event={"finding_key": key})["next"] == "triage"
    assert deployment.meta(_id(event))["finding_key"] == key


@pytest.mark.parametrize(
    "key", ["secrets/x.json", "../incidents/x", "/incidents/x", "INCIDENTS/x", ""]
)
def test_a_pointer_outside_the_evidence_is_refused_and_told(
    deployment: Deployment, key: str
) -> None:
    with pytest.raises(MalformedFinding, match="not a key of this deployment's evidence"):
        evidence_store.get_event(key)
    assert call("open", event={"finding_key": key})["next"] == "done"
    [meta] = deployment.incidents()
    assert meta["status"] == "SKIPPED"
    assert notified(deployment) == (["SKIPPED"], [])


def test_stored_content_that_is_no_json(deployment: Deployment) -> None:
    deployment.s3.put_object(Bucket=BUCKET, Key="incidents/inc-1/x.json", Body=b"{")
    with pytest.raises(MalformedFinding, match=r"incidents/inc-1/x\.json is not JSON"):
        evidence_store.get_event("incidents/inc-1/x.json")


# -- bad input -------------------------------------------------------------------------------------

BAD: list[Any] = [
    None,
    [],
    "text",
    {},
    {"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": {}},
    {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "detail": {"type": "A:EC2/B", "id": "\ud800"},
    },
    {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "detail": {"id": "x" * 500_000, "type": ["y"]},
    },
]


@pytest.mark.parametrize("event", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("step_name", ["open", "notice"])
def test_what_cannot_be_read_is_recorded_and_told_once(
    deployment: Deployment, step_name: str, event: Any
) -> None:
    for execution in (EXECUTION, EXECUTION, NOTICE):
        answer = call(step_name, event=event, execution=execution)
        assert answer["next"] == "done"
    [meta] = deployment.incidents()
    assert (meta["status"], meta["decision"], meta["mode"]) == ("SKIPPED", "skip", "notify")
    assert "open" not in meta
    assert finding.canonical(event).encode() in deployment.evidence(meta["incident_id"]).values()
    [message] = deployment.messages()
    assert "Nothing was done" in message["Message"]
    assert answer["why"][:300] in message["Message"]


def test_a_sample_runs_the_path(deployment: Deployment, finding_event: Make) -> None:
    event = finding_event("sample_cryptocurrency_ec2_bitcointool_b_dns")
    assert call("open", event=event)["next"] == "triage"
    assert deployment.meta(_id(event))["sample"] is True


def test_a_changed_configuration_stops_everything_aloud(
    deployment: Deployment, finding_event: Make
) -> None:
    [item] = deployment.items("CONFIG")
    deployment.store_document(item["sk"], '{"remediations": {"*": "auto"}}')
    with pytest.raises(ConfigError, match="outside Terraform"):
        call("open", event=finding_event())
    assert deployment.incidents() == []


def test_a_verb_nobody_knows(deployment: Deployment) -> None:
    with pytest.raises(ResponseError, match="has no step 'reboot'; its steps are open, notice"):
        call("reboot")


# -- lost answers and throttling -------------------------------------------------------------------


class _Failing:
    """A client of which one operation fails the first time."""

    def __init__(self, client: Any, operation: str, code: str = "Throttling") -> None:
        self._client, self._operation, self._code, self.failed = client, operation, code, 0

    def __getattr__(self, name: str) -> Any:
        if name == self._operation and not self.failed:
            self.failed += 1
            raise ClientError({"Error": {"Code": self._code, "Message": "slow down"}}, name)
        return getattr(self._client, name)


@pytest.fixture
def throttled(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], _Failing]:
    def once(service: str, operation: str) -> _Failing:
        real = clients.client
        failing = _Failing(real(service), operation)
        monkeypatch.setattr(
            clients, "client", lambda name: failing if name == service else real(name)
        )
        return failing

    return once


def test_a_notice_that_could_not_be_sent_waits(
    deployment: Deployment, finding_event: Make, throttled: Callable[[str, str], _Failing]
) -> None:
    deployment.configure({"remediations": {}})
    failing = throttled("sns", "publish")
    call("notice", event=finding_event())
    assert failing.failed
    incident_id = _id(finding_event())
    assert deployment.meta(incident_id)["status"] == "NOTIFIED"
    assert "message waits" in deployment.timeline(incident_id)
    assert "notified" not in deployment.timeline(incident_id)
    call("notice", event=finding_event())
    assert notified(deployment) == ([], []), "the schedule sends it"
    assert watch(OUTBOX)["sent"] == 1
    assert notified(deployment) == (["notice"], [])


def test_an_unreadable_event_is_told_although_the_topic_failed(
    deployment: Deployment, throttled: Callable[[str, str], _Failing]
) -> None:
    throttled("sns", "publish")
    for _ in range(2):
        call("open", event={"source": "aws.ec2"})
    watch(OUTBOX)
    assert notified(deployment) == (["SKIPPED"], [])


def test_open_resumes_when_its_answer_was_lost(deployment: Deployment, finding_event: Make) -> None:
    first = call("open", event=finding_event())
    assert call("open", event=finding_event()) == first
    assert call("open", event=finding_event(), execution=f"{EXECUTION}2")["next"] == "done"


# -- emissions after an answer ---------------------------------------------------------------------


def _set(deployment: Deployment, incident_id: str, status: str, **fields: Any) -> None:
    values = {"status": status, **fields}
    deployment.dynamodb.update_item(
        TableName=TABLE,
        Key={"pk": {"S": f"INCIDENT#{incident_id}"}, "sk": {"S": "META"}},
        UpdateExpression="SET " + ", ".join(f"#{n} = :{n}" for n in values) + " REMOVE #open",
        ExpressionAttributeNames={"#open": "open", **{f"#{n}": n for n in values}},
        ExpressionAttributeValues={
            f":{n}": {"S": v} if isinstance(v, str) else v for n, v in values.items()
        },
    )


def test_after_containment_it_is_only_verified(deployment: Deployment, finding_event: Make) -> None:
    incident_id = call("open", event=finding_event())["incident_id"]
    _set(deployment, incident_id, "CONTAINED")
    answer = call("open", event=finding_event(), execution=f"{EXECUTION}2")
    assert (answer["next"], answer["verify_only"]) == ("triage", True)
    assert call("announce", **answer) == {}
    assert notified(deployment) == ([], [])


def test_a_notice_is_not_repeated_until_something_changes(
    deployment: Deployment, finding_event: Make
) -> None:
    deployment.configure({"remediations": {}})
    for number in range(5):
        call("notice", event=finding_event(updatedAt=f"{number}"), execution=f"{NOTICE}{number}")
    assert notified(deployment) == (["notice"], [])
    call("notice", event=finding_event(severity=9.5), execution=f"{NOTICE}9")
    assert notified(deployment) == (["notice"], [])


def test_switching_a_type_on_takes_up_what_was_only_told(
    deployment: Deployment, finding_event: Make
) -> None:
    deployment.configure({"remediations": {}})
    incident_id = _id(finding_event())
    _both(finding_event())
    deployment.configure()
    opened, _ = _both(finding_event())
    assert opened["next"] == "triage"
    assert deployment.meta(incident_id)["previous"] == "NOTIFIED"
    assert deployment.timeline(incident_id)[-1] == "reopened"


def test_switching_a_type_off_leaves_a_containment_alone(
    deployment: Deployment, finding_event: Make
) -> None:
    incident_id = call("open", event=finding_event())["incident_id"]
    _set(deployment, incident_id, "CONTAINED")
    deployment.configure({"remediations": {}})
    opened, _ = _both(finding_event())
    assert opened["next"] == "done"
    meta = deployment.meta(incident_id)
    assert (meta["status"], meta["execution"], meta["mode"]) == ("CONTAINED", EXECUTION, "auto")
    assert notified(deployment) == ([], [])


def test_the_announcement(deployment: Deployment, finding_event: Make) -> None:
    incident_id = call("open", event=finding_event())["incident_id"]
    call("announce", incident_id=incident_id, verify_only=False)
    [message] = deployment.messages()
    assert message["Subject"].startswith("[STARTED] CryptoCurrency:EC2/BitcoinTool.B!DNS")
    assert "Response started" in message["Message"]
    assert deployment.timeline(incident_id) == ["opened", "announced"]
