"""Every mode does what the README says of it, and exactly one machine answers a finding."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.findings import Sent
from sandbox.seed import Victim
from tests.e2e.e2e_checks import assert_contained, assert_untouched, changed
from tests.e2e.e2e_world import PREFIX, SECURITY, World, actions

DRY_RUN, APPROVE = "Trojan:EC2/DNSDataExfiltration", "UnauthorizedAccess:EC2/TorClient"


def _nothing(world: World, sent: Sent) -> None:
    """The event left no trace: no record, no message, though machines may have looked at it."""
    ended = world.ended(sent)
    assert {execution.status() for execution in ended.values()} <= {"SUCCEEDED"}
    assert world.incidents.find(str(sent.incident_id)) is None
    assert world.notified(sent) == world.notified(sent, "escalations") == []


def test_dry_run_says_what_it_would_do_and_does_nothing(world: World) -> None:
    victim = world.victim()
    before = world.look(victim)
    sent = world.send(world.finding(victim, DRY_RUN))
    incident = world.settled(sent)
    assert_untouched(world, victim, before)
    assert (incident["status"], incident["decision"], incident["mode"]) == (
        "DRY_RUN",
        "dry_run",
        "dry_run",
    )
    planned = {action["name"]: action["detail"] for action in incident["targets"][0]["actions"]}
    assert set(actions(incident).values()) == {"PLANNED"}
    assert set(planned) >= {
        "quarantine_network",
        "protect_instance",
        "replace_instance_profile",
        "revoke_sessions",
        "detach_auto_scaling",
        "deregister_targets",
        "tag_instance",
        "snapshot",
    }
    for interface in victim.interfaces:
        assert interface in planned["quarantine_network"]
    assert str(victim.role) in planned["revoke_sessions"]
    assert all(volume in planned["snapshot"] for volume in victim.volumes)
    assert world.notified(sent) == ["DRY_RUN"]
    text = world.messages(sent)[-1]["text"]
    assert "Nothing was changed" in text and victim.interfaces[0] in text


def test_what_was_promised_is_what_is_done(world: World) -> None:
    """The dry run of an instance and its containment name the same actions."""
    victim = world.victim()
    promised = actions(world.respond(victim, DRY_RUN))
    incident = world.respond(victim)
    assert_contained(world, victim, incident)
    # Sessions of other roles are looked for; there are none.
    assert actions(incident)["held_sessions"] == "SKIPPED"
    follows = {"strip_group_rules", f"tag_denied_role {victim.role}"}
    assert changed(incident) == set(promised) - {"held_sessions"} | follows


def test_approve_waits_for_a_person_and_then_lets_be(world: World) -> None:
    victim = world.victim(target_group=False, elastic_ip=False)
    before = world.look(victim)
    sent = world.send(world.finding(victim, APPROVE))
    waiting = world.status(sent, "AWAITING_APPROVAL")
    assert waiting["decision"] == "approve"
    assert set(actions(waiting).values()) == {"PLANNED"}
    assert_untouched(world, victim, before)
    world.until(lambda: "approval" in world.notified(sent, "escalations"), "a person is asked")
    incident = world.settled(sent)
    assert incident["status"] == "TIMED_OUT"
    assert_untouched(world, victim, before)
    assert world.notified(sent) == ["approval", "TIMED_OUT"]
    assert "TIMED_OUT" in world.notified(sent, "escalations"), (
        "an unanswered question is not an answer"
    )


def test_notify_tells_and_nothing_else(world: World) -> None:
    victim = world.plain()
    before = world.look(victim)
    sent = world.send(world.finding(victim, "UnauthorizedAccess:EC2/TorRelay"))
    ended = world.ended(sent)
    assert set(ended) == {"notice"}, "the rule act does not even match"
    incident = world.incident(sent)
    assert (incident["status"], incident["mode"], incident["targets"]) == ("NOTIFIED", "notify", [])
    assert_untouched(world, victim, before)
    assert world.notified(sent) == ["notice"]


def test_unknown_type_is_told(world: World) -> None:
    """A type GuardDuty invents tomorrow: people hear of it."""
    sent = world.send(world.finding(world.plain(), "Sabotage:EC2/NeverSeenBefore"))
    incident = world.settled(sent)
    assert (incident["status"], incident["mode"]) == ("NOTIFIED", "notify")
    assert world.notified(sent) == ["notice"]


@pytest.mark.parametrize(
    ("kind", "machines"),
    [
        pytest.param(
            "CryptoCurrency:EC2/BitcoinTool.B",
            {"incident", "notice"},
            id="inside a wider auto glob",
        ),
        pytest.param("UnauthorizedAccess:EC2/RDPBruteForce", {"notice"}, id="by itself"),
    ],
)
def test_off_leaves_no_trace(world: World, kind: str, machines: set[str]) -> None:
    victim = world.plain()
    before = world.look(victim)
    sent = world.send(world.finding(victim, kind))
    assert set(world.ended(sent)) == machines
    _nothing(world, sent)
    assert_untouched(world, victim, before)


def test_archived_leaves_no_trace(world: World) -> None:
    for archived in (True, "true"):
        sent = world.send(world.finding(world.plain(), service__archived=archived))
        assert world.answers(sent) == [], "neither rule takes it"
        _nothing(world, sent)


def test_account_exceptions(world: World) -> None:
    """An account's own keys beat the global ones: milder there, and sharper."""
    mild = world.respond(world.plain(), "Backdoor:EC2/Spambot")
    assert (mild["status"], mild["mode"]) == ("NOTIFIED", "notify")
    assert mild["reasons"] == ["account remediation 'Backdoor:EC2/Spambot' = notify"]
    sharp = world.respond(world.plain(), "UnauthorizedAccess:EC2/MetadataDNSRebind")
    assert (sharp["status"], sharp["mode"]) == ("DRY_RUN", "dry_run")
    elsewhere = world.respond(
        "i-0a1b2c3d4e5f60718", "UnauthorizedAccess:EC2/MetadataDNSRebind", account="333333333333"
    )
    assert (elsewhere["status"], elsewhere["mode"]) == ("NOTIFIED", "notify")


def test_below_the_minimum_severity_the_next_milder_mode_answers(world: World) -> None:
    victim = world.plain()
    before = world.look(victim)
    incident = world.respond(victim, severity=3)
    assert (incident["status"], incident["mode"]) == ("DRY_RUN", "dry_run")
    assert "severity 3 is below the minimum 5 for auto" in incident["reasons"]
    assert_untouched(world, victim, before)


def test_sample_findings_are_rehearsed(world: World) -> None:
    """However the finding says that it is a sample, and whether or not its instance exists."""
    victim = world.plain()
    before = world.look(victim)
    for info in ({"sample": True}, {"value": '{"sample":true}', "type": "default"}):
        incident = world.respond(victim, service__additionalInfo=info)
        assert incident["status"] == "DRY_RUN", info
        assert "a sample finding is only rehearsed" in incident["reasons"]
    assert_untouched(world, victim, before)
    nobody = world.respond("i-99999999", service__additionalInfo={"sample": True})
    assert nobody["status"] == "DRY_RUN"
    assert "does not exist" in nobody["targets"][0]["actions"][0]["detail"]


def test_a_sample_in_an_account_without_the_role_wakes_nobody(world: World) -> None:
    sent = world.send(
        world.finding(
            "i-99999999", account="555555555555", service__additionalInfo={"sample": True}
        )
    )
    incident = world.settled(sent)
    assert incident["status"] == "SKIPPED"
    assert f"role/{PREFIX}-responder-ec2-instance" in incident["reasons"][-1]
    assert world.notified(sent) == ["SKIPPED"]
    assert world.notified(sent, "escalations") == []
    assert "Sample finding." in world.messages(sent)[-1]["text"]


def test_the_victim_of_an_attack_is_never_isolated(world: World) -> None:
    """A probed port: acting would serve the attacker, whatever the switch says."""
    victim = world.plain()
    before = world.look(victim)
    sent = world.send(
        world.finding(
            victim,
            "Recon:EC2/PortProbeUnprotectedPort",
            severity=8,
            service__resourceRole="TARGET",
            service__action={
                "actionType": "PORT_PROBE",
                "portProbeAction": {"blocked": False, "portProbeDetails": []},
            },
        )
    )
    incident = world.settled(sent)
    assert incident["status"] == "NOTIFIED"
    assert "isolating it would serve the attacker" in incident["reasons"][-1]
    assert_untouched(world, victim, before)


def test_exempt_resource_and_principal(world: World, exempt_victim: Victim) -> None:
    """Exemptions come from Terraform: never acted on, and people are told so."""
    break_glass = world.victim(
        name="break-glass-" + exempt_victim.instance[-6:], in_asg=False, target_group=False
    )
    for victim, word in ((exempt_victim, "exempt_resources"), (break_glass, "exempt_principals")):
        before = world.look(victim)
        sent = world.send(world.finding(victim))
        incident = world.settled(sent)
        assert (incident["status"], incident["decision"]) == ("SKIPPED", "skip")
        assert f"is exempt ({word}" in incident["reasons"][-1]
        assert_untouched(world, victim, before)
        assert world.notified(sent)[-1] == "SKIPPED"


def test_a_tag_can_only_ask(world: World) -> None:
    victim = world.plain(tags={PREFIX: "ask"})
    before = world.look(victim)
    sent = world.send(world.finding(victim))
    waiting = world.status(sent, "AWAITING_APPROVAL")
    assert (
        "auto became approve" in waiting["reasons"][-1]
        and "CloudTrail CreateTags" in waiting["reasons"][-1]
    )
    assert world.settled(sent)["status"] == "TIMED_OUT"
    assert_untouched(world, victim, before)


MODES: dict[str, tuple[str, str | None]] = {
    "auto": ("CryptoCurrency:EC2/BitcoinTool.B!DNS", "incident"),
    "approve": (APPROVE, "incident"),
    "dry_run": (DRY_RUN, "incident"),
    "notify": ("UnauthorizedAccess:EC2/TorRelay", "notice"),
    "notify in the account, inside a wider auto glob": ("Backdoor:EC2/Spambot", "notice"),
    "no key": ("Policy:IAMUser/RootCredentialUsage", "notice"),
    "off": ("UnauthorizedAccess:EC2/RDPBruteForce", None),
    "off inside a wider auto glob": ("CryptoCurrency:EC2/BitcoinTool.B", None),
}


@pytest.mark.parametrize("name", MODES)
def test_exactly_one_machine_answers(world: World, name: str) -> None:
    """Whatever rules match, one machine does the work and any other says whose it is (plan
    tests: every known type).
    """
    kind, answering = MODES[name]
    sent = world.send(world.finding("i-00000000000000001", kind))
    ended = world.ended(sent)
    world.until(
        lambda: all(execution.status() != "RUNNING" for execution in ended.values()),
        "the notice machine has looked",
    )
    outputs: dict[str, Any] = {
        machine: json.loads(execution.describe()["output"]) for machine, execution in ended.items()
    }
    worked = [machine for machine, output in outputs.items() if output.get("incident_id")]
    assert worked == [machine for machine in [answering] if machine]
    if answering:
        assert world.incident(sent)["execution"].split(":")[6] == f"{PREFIX}-{answering}"
        [item] = [
            record
            for record in world.items(f"INCIDENT#{sent.incident_id}")
            if record["sk"]["S"] == "META"
        ]
        assert item["finding_key"]["S"].startswith(f"incidents/{sent.incident_id}/")
    assert SECURITY in world.outputs["incident_state_machine_arn"]
