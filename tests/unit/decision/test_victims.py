"""Victim or actor: what is isolated, what a person decides, and what is left alone."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from guardduty_response.decision import configuration, finding, manifests, policy

from tests.support.repository import load_finding
from tests.unit.deployment import document

CALLER = "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom"
SSH = "UnauthorizedAccess:EC2/SSHBruteForce"
PROBE = "Recon:EC2/PortProbeUnprotectedPort"
TARGET, ACTOR = {"resourceRole": "TARGET"}, {"resourceRole": "ACTOR"}
BUCKETS = [{"name": "backups", "arn": "arn:aws:s3:::backups"}]
PROBED = {"portProbeAction": {"blocked": False, "portProbeDetails": [{"localPortDetails": {}}]}}


def _connection(direction: Any, action_type: Any = "NETWORK_CONNECTION") -> dict[str, Any]:
    action = {
        "actionType": action_type,
        "networkConnectionAction": {"connectionDirection": direction, "blocked": False},
    }
    return {"action": action}


def _config(mode: str) -> configuration.Config:
    text = document(
        {
            "remediations": {"*": mode},
            "active_playbooks": ["ec2_instance", "iam_principal"],
        }
    )
    return configuration.parse(text, hashlib.sha256(text.encode()).hexdigest())


def _mode(
    service: Any, kind: str, resource: str = "Instance", **details: Any
) -> tuple[str, list[str]]:
    """Returns the mode of a finding where everything is auto, and the reasons."""
    event = load_finding(type=kind, severity=8, service=service)
    event["detail"]["resource"] = {"resourceType": resource, **details}
    decision, _ = policy.decide_about(_config("auto"), finding.parse(event))
    return decision.mode, decision.reasons


@pytest.mark.parametrize(
    ("kind", "service"),
    [
        (CALLER, TARGET | _connection("UNKNOWN")),
        (CALLER, TARGET | _connection(None)),
        (CALLER, TARGET | _connection("")),
        (CALLER, TARGET | _connection("unknown")),
        (CALLER, TARGET | _connection("UNKNOWN", action_type=None)),
        (CALLER, TARGET | {"action": {"actionType": "NETWORK_CONNECTION"}}),
        (CALLER, TARGET),
        (CALLER, _connection("UNKNOWN")),
        (CALLER, ACTOR | _connection("UNKNOWN")),
        (CALLER, _connection("INBOUND")),
        (CALLER, None),
        ("UnauthorizedAccess:EC2/TorIPCaller", TARGET | {"action": None}),
        ("Backdoor:EC2/C&CActivity.B", TARGET | _connection("UNKNOWN")),
        ("Impact:EC2/TypeOfTomorrow", TARGET | _connection("UNKNOWN")),
        (SSH, _connection("INBOUND")),
        (SSH, {"resourceRole": ""} | _connection("INBOUND")),
        (SSH, TARGET),
        (SSH, {}),
        ("UnauthorizedAccess:EC2/RDPBruteForce", TARGET | _connection(None)),
        ("Impact:EC2/WinRMBruteForce", _connection("OUTBOUND")),
    ],
)
def test_where_nothing_shows_who_began_a_person_decides(kind: str, service: Any) -> None:
    mode, reasons = _mode(service, kind)
    assert mode == "approve"
    assert "auto became approve: the finding does not show whether the instance" in reasons[-1]


@pytest.mark.parametrize(
    ("kind", "service"),
    [
        (PROBE, TARGET | {"action": {"actionType": "PORT_PROBE", **PROBED}}),
        (PROBE, {"action": {"actionType": "PORT_PROBE"}}),
        (PROBE, {"resourceRole": None}),
        (PROBE, None),
        ("Recon:EC2/PortProbeEMRUnprotectedPort", ACTOR),
        ("Recon:EC2/ProbeOfTomorrow", {"action": PROBED}),
        ("Recon:EC2/ProbeOfTomorrow", {"action": {"actionType": "PORT_PROBE"}}),
        (SSH, TARGET | _connection("INBOUND")),
        (CALLER, TARGET | _connection("INBOUND", action_type=None)),
    ],
)
def test_a_victim_is_never_isolated(kind: str, service: Any) -> None:
    mode, reasons = _mode(service, kind)
    assert mode == "notify"
    assert "the instance is the target of this inbound activity" in reasons[-1]


@pytest.mark.parametrize(
    ("kind", "service"),
    [
        (CALLER, TARGET | _connection("OUTBOUND")),
        (SSH, ACTOR | _connection("OUTBOUND")),
        ("Recon:EC2/Portscan", ACTOR | _connection("OUTBOUND")),
        (
            "CryptoCurrency:EC2/BitcoinTool.B!DNS",
            TARGET | {"action": {"actionType": "DNS_REQUEST"}},
        ),
        ("Execution:EC2/MaliciousFile", TARGET),
        ("Execution:Runtime/ReverseShell", TARGET),
        ("CryptoCurrency:EC2/BitcoinTool.B!DNS", None),
    ],
)
def test_an_actor_or_infected_host_is_isolated(kind: str, service: Any) -> None:
    assert _mode(service, kind)[0] == "auto"


@pytest.mark.parametrize("buckets", [BUCKETS, [], {}, None])
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("UnauthorizedAccess:IAMUser/MaliciousIPCaller", "auto"),
        ("Exfiltration:IAMUser/AnomalousBehavior", "auto"),
        ("Policy:IAMUser/RootCredentialUsage", "auto"),
        ("Policy:S3/BucketPublicAccessGranted", "notify"),
        ("Stealth:S3/ServerAccessLoggingDisabled", "notify"),
        ("Policy:S3/TypeOfTomorrow", "notify"),
        ("Exfiltration:S3/TypeOfTomorrow", "notify"),
    ],
)
def test_the_word_of_the_type_says_what_a_finding_is_about(
    kind: str, mode: str, buckets: Any
) -> None:
    """Not the presence of a bucket beside the credential."""
    found, reasons = _mode(
        {},
        kind,
        "AccessKey",
        s3BucketDetails=buckets,
    )
    assert found == mode
    assert ("about a bucket" in reasons[-1]) == (mode == "notify")


def test_what_is_milder_than_auto_stays_as_it_is() -> None:
    for mode in ("off", "notify", "dry_run", "approve"):
        event = load_finding(type=CALLER, severity=8, service=TARGET | _connection("UNKNOWN"))
        decision, playbook = policy.decide_about(_config(mode), finding.parse(event))
        assert (decision.mode, playbook) == (mode, "ec2_instance")
        assert manifests.doubt_about(finding.parse(event)) == decision.doubt != ""


def test_a_playbook_without_approval_only_rehearses_what_is_in_doubt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(manifests, "modes_of", lambda _: ["dry_run", "auto"])
    assert _mode(TARGET | _connection("UNKNOWN"), CALLER)[0] == "dry_run"
    assert _mode(TARGET | _connection("OUTBOUND"), CALLER)[0] == "auto"
