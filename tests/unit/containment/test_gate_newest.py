"""The gate and a configuration that an apply has stored, but not brought to the function."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from guardduty_response.errors import GateClosed

from tests.unit.containment.gates import Lab
from tests.unit.deployment import document


def announced(lab: Lab, **changes: Any) -> tuple[str, str]:
    """Writes the CONTROL item as an apply does before anything else; returns hash and document."""
    text = document(changes)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    lab.control("TERRAFORM", paused=False, config_sha256=sha256)
    return sha256, text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"guardrails.exempt_resources": ["i-1"]}, "i-1 is exempt"),
        ({"remediations": {"*": "off"}}, "policy says off now"),
        ({"guardrails.management_account_id": "222222222222"}, "management account"),
    ],
)
def test_what_the_newest_configuration_forbids_is_not_done(
    lab: Lab, changes: Any, said: str
) -> None:
    """The apply is under way, or failed half-way."""
    sha256, text = announced(lab, **changes)
    lab.gate().permit()  # the document is not there yet
    lab.deployment.store_document(f"{sha256}#2", text)
    with pytest.raises(GateClosed, match=said):
        lab.gate().permit()


def test_the_newest_configuration_permits_nothing_by_itself(lab: Lab) -> None:
    lab.deployment.configure({"remediations": {"*": "notify"}})
    sha256, text = announced(lab, remediations={"*": "auto"})
    lab.deployment.store_document(f"{sha256}#2", text)
    with pytest.raises(GateClosed, match="policy says notify now"):
        lab.gate().permit()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"guardrails.management_account_id": "222222222222"}, "management account"),
        ({"responder.own_roles": ["*:role/web"]}, "a role of the response itself"),
    ],
)
def test_evidence_is_taken_of_nothing_that_triage_leaves_alone(
    lab: Lab, changes: Any, said: str
) -> None:
    lab.deployment.configure(changes)
    gate = lab.gate("evidence", principals=["arn:aws:iam::222222222222:role/web"])
    with pytest.raises(GateClosed, match=said):
        gate.permit()
    lab.gate("restore").permit()
