"""A role that the newest configuration exempts is spared where sessions of it are found, although
an apply has not brought that configuration to the function.
"""

from __future__ import annotations

import hashlib
import time

import pytest
from guardduty_response.cloudtrail import session_search
from guardduty_response.containment.session_holder import ChainedSession
from guardduty_response.functions import respond
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.deployment import Deployment, document, onlooker
from tests.unit.playbooks.iam_principal.function_steps import (
    EXECUTION,
    OpenIncident,
    plan_incident,
)
from tests.unit.playbooks.iam_principal.test_exempt_principals import finding_about


@pytest.mark.parametrize("exempt", [True, False])
def test_a_role_that_was_exempt_since_is_spared(
    deployment: Deployment,
    open_incident: OpenIncident,
    record: IncidentRepository,
    monkeypatch: pytest.MonkeyPatch,
    exempt: bool,
) -> None:
    event = finding_about(
        deployment,
        "app",
        "role",
    )
    iam = onlooker("iam")
    role = iam.create_role(RoleName="deploy", AssumeRolePolicyDocument="{}")["Role"]
    now = time.time()
    userid, began = f"{role['RoleId']}:s1", now - 60
    session = ChainedSession(
        userid,
        role["Arn"],
        "ASIA1",
        "",
        began,
        now + 3600,
    )
    monkeypatch.setattr(
        session_search,
        "find",
        lambda *_: ([session], []),
    )
    incident_id = open_incident(event)
    [target] = plan_incident(incident_id)["targets"]
    if exempt:
        same = {"remediations": {"*": "auto"}, "active_playbooks": ["iam_principal"]}
        text = document({**same, "guardrails.exempt_principals": [role["Arn"]]})
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        deployment.store_document(f"{sha256}#2", text)
        control = {"pk": "CONTROL", "sk": "TERRAFORM", "paused": False, "config_sha256": sha256}
        record.table.put(control)
    step = {"verb": "contain", "incident_id": incident_id, "execution": EXECUTION, "attempt": 1}
    respond.handler({**step, "targets": [target]}, None)
    assert bool(iam.list_role_policies(RoleName="app")["PolicyNames"])
    assert bool(iam.list_role_policies(RoleName="deploy")["PolicyNames"]) is not exempt
    [stored] = deployment.targets(incident_id)
    said = f"exempt (exempt_principals: {role['Arn']})"
    assert (said in stored["actions"]["held_sessions"]["detail"]) is exempt
