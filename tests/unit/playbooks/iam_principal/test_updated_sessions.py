"""An update of a finding that names another session of the role has it denied, too."""

from __future__ import annotations

import copy
import time

import pytest
from guardduty_response.functions import incident, respond
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import EXECUTIONS, Deployment, onlooker
from tests.unit.playbooks.iam_principal.function_steps import EXECUTION, OpenIncident
from tests.unit.playbooks.iam_principal.iam_account import Json
from tests.unit.playbooks.iam_principal.test_exempt_principals import finding_about

SECOND = f"{EXECUTIONS}incident:two"


def _respond(opened: Json, execution: str) -> None:
    incident_id = opened["incident_id"]
    shared = {"incident_id": incident_id, "execution": execution}
    event = {"verb": "plan", "verify_only": opened["verify_only"], **shared}
    answer = respond.handler({**event, "finding_key": opened["finding_key"]}, None)
    assert answer["decision"] == "act"
    steps = {**shared, "targets": answer["targets"], "error": ""}
    step, attempt = "verify" if opened["verify_only"] else "contain", 1
    while not respond.handler({"verb": step, "attempt": attempt, **steps}, None)["done"]:
        step, attempt = "verify", attempt + 1
    incident.handler({"verb": "verdict", **steps}, None)
    incident.handler({"verb": "close", "decision": "act", **shared, "error": ""}, None)


def _denied(role: str) -> list[tuple[str, str]]:
    """Whose tokens the role's policies deny, and until when."""
    iam, found = onlooker("iam"), []
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for statement in document["Statement"]:
            condition = statement["Condition"]
            names = condition["StringEquals"]["aws:userid"]
            [date] = condition["DateLessThan"].values()
            found += [(userid.split(":")[1], str(date)) for userid in names]
    return sorted(found)


@pytest.mark.parametrize("session", ["session", "mallory"])
def test_a_session_that_only_the_update_names_is_denied(
    deployment: Deployment,
    open_incident: OpenIncident,
    record: IncidentRepository,
    session: str,
) -> None:
    """Also a later token of the same session."""
    event = finding_about(
        deployment,
        "app",
        "role",
    )
    event["detail"]["service"]["eventLastSeen"] = "2020-01-01T00:00:00Z"
    incident_id = open_incident(event)
    key = deployment.meta(incident_id)["finding_key"]
    _respond({"incident_id": incident_id, "verify_only": False, "finding_key": key}, EXECUTION)
    # Without CloudTrail, which moto lacks, nobody knows who else issued it.
    assert record.move(incident_id, Status.PARTIAL, Status.CONTAINED)
    [(name, first)] = _denied("app")
    assert name == "session"
    update = copy.deepcopy(event)
    details = update["detail"]["resource"]["accessKeyDetails"]
    details["principalId"] = details["principalId"].replace(":session", f":{session}")
    details["accessKeyId"] = "ASIALATERTOKEN"
    update["detail"]["service"]["eventLastSeen"] = "2020-01-02T00:00:00Z"
    time.sleep(2.1)  # IAM compares whole seconds, and the first date was rounded up
    opened = incident.handler({"verb": "open", "event": update, "execution": SECOND}, None)
    _respond(opened, SECOND)
    denied = dict(_denied("app"))
    assert denied.keys() == {"session", session}
    assert denied[session] > first


def test_a_role_that_was_made_anew_under_the_same_name_is_verified_as_the_one_before(
    deployment: Deployment, open_incident: OpenIncident, record: IncidentRepository
) -> None:
    """Its plan has an ARN of its own, so that the new role's containment would be another."""
    event = finding_about(
        deployment,
        "app",
        "role",
    )
    incident_id = open_incident(event)
    key = deployment.meta(incident_id)["finding_key"]
    _respond({"incident_id": incident_id, "verify_only": False, "finding_key": key}, EXECUTION)
    [link] = record.links(incident_id)
    iam = onlooker("iam")
    for policy in iam.list_role_policies(RoleName="app")["PolicyNames"]:
        iam.delete_role_policy(RoleName="app", PolicyName=policy)
    iam.delete_role(RoleName="app")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument="{}")
    opened = {"verb": "open", "event": {"watch": {"incident_id": incident_id}}}
    incident.handler({**opened, "execution": SECOND}, None)
    shared = {"incident_id": incident_id, "execution": SECOND, "verify_only": True}
    answer = respond.handler({"verb": "plan", **shared}, None)
    [target] = answer["targets"]
    assert (target["arn"], target["generation"]) == (link["arn"], 1)
    steps = {**shared, "targets": [target], "error": "", "attempt": 1}
    respond.handler({"verb": "verify", **steps}, None)
    incident.handler({"verb": "verdict", **steps}, None)
    [found] = deployment.targets(incident_id)
    assert found["verified"] == SECOND
