"""A finding that comes again after nothing was done: people are told only of another answer."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.incident.outbox.history import messages_of

from tests.unit.deployment import TABLE
from tests.unit.fake_playbook import configure
from tests.unit.function_calls import call, notified
from tests.unit.functions.shared_world import World

EXEMPT: dict[str, Any] = {"guardrails.exempt_resources": ["i-1"]}


def send(world: World) -> str:
    """Sends the finding once more, and lets its execution come to an end."""
    incident_id, targets = world.open("a")
    decision = world.deployment.meta(incident_id).get("decision")
    assert not targets
    event = {"incident_id": incident_id, "execution": world.execution("a")}
    call("close", decision=decision, **event)
    return incident_id


@pytest.mark.parametrize("answer", ["SKIPPED", "DRY_RUN"])
def test_another_switch_does_not_repeat_the_message(world: World, answer: str) -> None:
    mode = "auto" if answer == "SKIPPED" else "dry_run"
    own: dict[str, Any] = {"CryptoCurrency:EC2/*": mode}
    exempt = EXEMPT if answer == "SKIPPED" else {}
    configure(world.deployment, remediations=own, **exempt)
    incident_id = send(world)
    assert notified(world.deployment) == ([answer], [])
    first = world.deployment.meta(incident_id)["config_sha256"]
    for other in ("notify", "approve"):
        switches = {**own, "Trojan:EC2/*": other}
        configure(world.deployment, remediations=switches, **exempt)
        send(world)
        assert world.deployment.meta(incident_id)["config_sha256"] != first, "decided anew"
        assert (world.status(incident_id), notified(world.deployment)) == (answer, ([], []))
    assert "decided as before" in world.deployment.timeline(incident_id)


def test_another_reason_is_told(world: World) -> None:
    """The guardrails decide, and their answer is compared, not what is configured."""
    own = {"CryptoCurrency:EC2/*": "auto"}
    configure(world.deployment, remediations=own, **EXEMPT)
    incident_id = send(world)
    notified(world.deployment)
    account = {"guardrails.exempt_accounts": ["222222222222"]}
    configure(world.deployment, remediations=own, **account)
    send(world)
    assert (world.status(incident_id), notified(world.deployment)) == (
        "SKIPPED",
        (["SKIPPED"], []),
    )


def test_an_exemption_that_ends_lets_the_finding_be_contained(world: World) -> None:
    own = {"CryptoCurrency:EC2/*": "auto"}
    configure(world.deployment, remediations=own, **EXEMPT)
    incident_id = send(world)
    configure(
        world.deployment,
        remediations=own,
        **{"guardrails.exempt_resources": []},
    )
    assert world.contain("a") == incident_id
    assert world.status(incident_id) == "CONTAINED"


@pytest.mark.parametrize("by", ["OPERATOR", "TERRAFORM"])
def test_a_pause_that_ends_lets_the_finding_be_contained(world: World, by: str) -> None:
    """The item is no part of the configuration, so its hash does not say that the pause is over.

    Terraform's pauses functions that a failed apply did not reach.
    """
    configure(world.deployment, remediations={"CryptoCurrency:EC2/*": "auto"})
    world.record.table.put(
        {
            "pk": "CONTROL",
            "sk": by,
            "paused": True,
        }
    )
    incident_id = send(world)
    assert (world.status(incident_id), notified(world.deployment)) == (
        "SKIPPED",
        (["SKIPPED"], []),
    )
    send(world)
    assert (world.status(incident_id), notified(world.deployment)) == ("SKIPPED", ([], []))
    world.record.table.put(
        {
            "pk": "CONTROL",
            "sk": by,
            "paused": False,
        }
    )
    assert world.contain("a") == incident_id
    assert world.status(incident_id) == "CONTAINED"


def test_an_answer_that_never_reached_people_is_told(world: World) -> None:
    own = {"CryptoCurrency:EC2/*": "dry_run"}
    configure(world.deployment, remediations=own)
    incident_id = send(world)
    notified(world.deployment)
    for message in messages_of(world.record.table, incident_id):
        key = {name: {"S": message[name]} for name in ("pk", "sk")}
        world.deployment.dynamodb.delete_item(TableName=TABLE, Key=key)
    configure(world.deployment, remediations={**own, "Trojan:EC2/*": "notify"})
    send(world)
    assert notified(world.deployment) == (["DRY_RUN"], [])
