"""The answer in docs/custom-playbooks.md is read, stored, and shown to people as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from guardduty_response.containment import envelope
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident import outcome, report
from guardduty_response.incident.model import TargetReference
from guardduty_response.incident.repository import IncidentRepository
from jsonschema import Draft202012Validator

from tests.support.repository import ROOT, load_finding
from tests.unit.deployment import TABLE, Deployment, deployed
from tests.unit.function_calls import EXECUTION, call

DOCUMENT = (ROOT / "docs" / "custom-playbooks.md").read_text()
BUCKET: TargetReference = {
    "kind": "s3_bucket",
    "id": "reports-bucket",
    "arn": "arn:aws:s3:::reports-bucket",
    "account_id": "222222222222",
    "region": "eu-central-1",
}


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with deployed() as made:
        yield made


def example() -> Any:
    [found] = re.findall(r"```json\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    return json.loads(found)


def _contained(record: IncidentRepository) -> tuple[str, Any]:
    """Returns an incident that is being contained, and its target."""
    incident_id = str(call("open", event=load_finding(), execution=EXECUTION)["incident_id"])
    joined = record.containments.join(BUCKET, incident_id, "reports")
    of: Any = {**BUCKET, "generation": joined.generation, "opened_by": joined.opened_by}
    record.note(incident_id, targets=[of], decision="act")
    record.put_target(incident_id, of)
    return incident_id, of


def test_the_example_is_stored_and_read_again(deployment: Deployment) -> None:
    record = IncidentRepository(TABLE)
    incident_id, of = _contained(record)
    answer = example()
    record.persist(incident_id, of, envelope.parse(answer))
    assert outcome.settle(record, incident_id).meta["status"] == answer["status"] == "PARTIAL"
    [seen] = IncidentRepository(TABLE).read(incident_id)[1]
    assert seen["verdict"] == answer["detail"]
    assert seen["before"] == answer["before"]
    assert seen["watched"] == answer["watched"]
    assert {check["name"]: check["ok"] for check in seen["checks"]} == {
        check["name"]: check["ok"] for check in answer["checks"]
    }
    assert {name: entry["status"] for name, entry in seen["actions"].items()} == {
        name: entry["status"] for name, entry in answer["actions"].items()
    }
    report.write(record, incident_id, evidence_store.put)
    page = deployment.evidence(incident_id)["report.html"].decode()
    for text in (
        "denies every principal but the response",
        "its policy allows 444455556666",
        "AccessDenied. By hand: aws s3control",
        "1,204 objects listed",
        "access_point_policies",
    ):
        assert text in page, text


def test_the_schema_takes_the_example() -> None:
    schema = json.loads((ROOT / "schema" / "result-envelope.schema.json").read_text())
    assert list(Draft202012Validator(schema).iter_errors(example())) == []


def test_the_limits_are_those_of_the_code() -> None:
    most = envelope.MOST
    assert (
        f"{most['checks']} checks, {most['actions']} actions, {most['before']} items in `before`,"
        f" {most['watched']} names in `watched`, {most['evidence']} evidence items"
    ) in DOCUMENT
    assert f"1 to {envelope.NAME_CHARACTERS} characters" in DOCUMENT
    assert f"{envelope.TEXT_CHARACTERS:,} characters" in DOCUMENT
    assert f"{envelope.NESTED} levels deep" in DOCUMENT


@pytest.mark.parametrize(
    "name", [*envelope.STATUSES, *envelope.ACTION_STATUSES, *envelope.OUTCOMES]
)
def test_every_word_that_may_be_answered_is_explained(name: str) -> None:
    assert f"`{name}`" in DOCUMENT


def test_the_refusal_that_is_quoted_is_the_refusal() -> None:
    answer = example()
    answer["checks"][1]["ok"] = "yes"
    with pytest.raises(envelope.MalformedEnvelope) as refused:
        envelope.parse(answer)
    assert f"`{refused.value.problems[0]}`" in DOCUMENT
