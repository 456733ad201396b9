"""Sessions named after an instance: whoever calls AssumeRole chooses the name, and must not have
somebody else's instance isolated by it.
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws.errors import is_transient
from guardduty_response.decision import finding
from guardduty_response.errors import ResponseError
from guardduty_response.incident.statuses import Status
from moto.ec2.models import ec2_backends

from tests.unit.deployment import onlooker
from tests.unit.playbooks.iam_principal.iam_account import REGION, THIRD, Json
from tests.unit.playbooks.iam_principal.iam_lab import INCIDENT, IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER
from tests.unit.playbooks.iam_principal.session_judge import EXFILTRATION, INSTANCE, is_allowed
from tests.unit.playbooks.iam_principal.test_issuer import NAME, alice

KEY = "ASIAFINDING000000001"  # the finding's
HAND_OVER = "hand_over_to_ec2_instance"
EC2 = {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}


def profile(role: str) -> str:
    """An instance profile that holds the role, of the same name. Returns its ARN."""
    iam = onlooker("iam")
    created = iam.create_instance_profile(InstanceProfileName=role)["InstanceProfile"]
    iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)
    return str(created["Arn"])


def run_instance(arn: str = "", region: str = REGION) -> None:
    """The instance, with that profile."""
    given: Json = {"IamInstanceProfile": {"Arn": arn}} if arn else {}
    client = onlooker("ec2", region)
    [created] = client.run_instances(
        ImageId="ami-12c6146b",
        MinCount=1,
        MaxCount=1,
        **given,
    )["Instances"]
    backend = ec2_backends[MEMBER][region]
    backend.get_instance(created["InstanceId"]).id = INSTANCE
    for association in backend.iam_instance_profile_associations.values():
        assert association.instance.id == INSTANCE


@pytest.fixture
def stolen(iam: IamLab, monkeypatch: pytest.MonkeyPatch) -> IamLab:
    """Alice, and a session of role admin with the name of an instance of role web."""
    monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
    iam.user().role("web", session=None)
    return iam.role("admin", session=INSTANCE)


def issued(iam: IamLab, caller: Json, **more: Any) -> None:
    iam.add_assume_role(
        caller,
        "admin",
        INSTANCE,
        KEY,
        **more,
    )


def test_the_instance_of_another_role_is_left_alone_and_who_named_it_is_told(
    stolen: IamLab,
) -> None:
    profile("admin")
    run_instance(profile("web"))
    issued(stolen, alice(stolen))
    planned = stolen.planned()
    assert planned.hand_over == {}
    assert f"instance {INSTANCE}, after which the session is named, is not handed" in (
        planned.consequences
    )
    assert "the instance has profile web, which does not hold role admin" in planned.consequences
    result = stolen.respond()
    assert result.status is Status.PARTIAL
    assert "user/alice" in result.detail
    assert "aws iam attach-user-policy --user-name alice" in result.detail
    assert not is_allowed(stolen, INSTANCE, -60, "admin")


REASONS = {
    "no profile holds the role": "no instance profile holds role admin",
    "an instance without a profile": "the instance has no profile with role admin",
    "no such instance": f"instance {INSTANCE} is in none of the 3 Regions that answered",
}


@pytest.mark.parametrize("case", REASONS)
def test_what_does_not_show_the_instance_is_said(stolen: IamLab, case: str) -> None:
    if case != "no profile holds the role":
        profile("admin")
    if case != "no such instance":
        run_instance()
    planned = stolen.planned()
    assert planned.hand_over == {}
    assert REASONS[case] in planned.consequences
    assert "whoever may assume the role can sign in again" in planned.consequences


@pytest.mark.parametrize("region", [REGION, THIRD])
def test_the_instance_that_has_the_role_is_handed_over_where_it_runs(
    stolen: IamLab, region: str
) -> None:
    run_instance(profile("admin"), region)
    [(name, make)] = stolen.planned().hand_over.items()
    other = finding.parse(make())
    assert (name, other.region) == ("ec2_instance", region)


@pytest.mark.parametrize("by_ec2", [True, False])
def test_who_got_it_is_asked_where_others_may_have_the_role_too(
    stolen: IamLab, by_ec2: bool
) -> None:
    """Alice may give her session of the instance's own role the instance's name."""
    run_instance(profile("admin"))
    issued(stolen, EC2 if by_ec2 else alice(stolen))
    target = stolen.plan()
    stolen.context().log_action(
        target,
        HAND_OVER,
        "DONE",
        "incident inc-3",
    )
    result = stolen.respond(target)
    assert result.status is (Status.CONTAINED if by_ec2 else Status.PARTIAL)
    assert ("user/alice" in result.detail) is not by_ec2


def test_the_profile_in_the_finding_shows_it_too(stolen: IamLab) -> None:
    """It may have been taken from the instance since."""
    arn = profile("admin")
    run_instance()
    detail = stolen.finding().detail
    details = {"instanceId": INSTANCE, "iamInstanceProfile": {"arn": arn}}
    detail["resource"]["instanceDetails"] = details
    event = {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": detail}
    stolen.ids["event"] = event
    assert set(stolen.planned().hand_over) == {"ec2_instance"}
    details["instanceId"] = "i-0aaaaaaaaaaaaaaaa"
    assert stolen.planned().hand_over == {}, "another instance's profile is not taken"


def test_an_exfiltration_finding_shows_it_by_its_type(stolen: IamLab) -> None:
    stolen.finding_type = EXFILTRATION
    assert set(stolen.planned().hand_over) == {"ec2_instance"}
    assert "ListInstanceProfilesForRole" in stolen.operations(), "for people to know"
    assert not [call for call in stolen.calls if "instance-id" in str(call.params)], (
        "the plan waits for no Region"
    )


@pytest.mark.parametrize("operation", ["ListInstanceProfilesForRole", "DescribeInstances"])
def test_what_could_not_be_read_is_a_failed_hand_over(stolen: IamLab, operation: str) -> None:
    run_instance(profile("admin"))
    stolen.fail(operation, "UnauthorizedOperation")
    planned = stolen.planned()
    assert f"whether these are credentials of instance {INSTANCE} could not be" in (
        planned.consequences
    )
    [make] = planned.hand_over.values()
    with pytest.raises(ResponseError, match=f"whether instance {INSTANCE} has role admin could"):
        make()
    target = stolen.plan()
    stolen.context().log_action(
        target,
        HAND_OVER,
        "FAILED",
        "could not be read",
    )
    assert stolen.respond(target).status is Status.PARTIAL
    assert NAME in stolen.actions(), "who got the session is asked"


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("ListInstanceProfilesForRole", "Throttling"),
        ("DescribeInstances", "RequestLimitExceeded"),
    ],
)
def test_a_throttled_read_has_the_plan_repeated(stolen: IamLab, operation: str, code: str) -> None:
    """The machine repeats what may pass: nothing is decided by it."""
    run_instance(profile("admin"))
    stolen.fail(operation, code)
    with pytest.raises(ClientError) as raised:
        stolen.planned()
    assert is_transient(raised.value)
    stolen.faults.clear()
    assert set(stolen.planned().hand_over) == {"ec2_instance"}


def test_a_region_that_is_throttled_matters_not_where_another_has_the_instance(
    stolen: IamLab,
) -> None:
    run_instance(profile("admin"), THIRD)
    stolen.fail(
        "DescribeInstances",
        "RequestLimitExceeded",
        lambda params: params["region"] == REGION,
    )
    assert set(stolen.planned().hand_over) == {"ec2_instance"}


def test_what_was_handed_over_stays_so_when_the_profile_was_replaced(stolen: IamLab) -> None:
    """The instance's own incident replaces it while people are asked about this one."""
    run_instance(profile("admin"))
    target = stolen.plan()
    stolen.context().log_action(
        target,
        HAND_OVER,
        "DONE",
        "incident inc-3",
    )
    first = stolen.planned().consequences
    backend = ec2_backends[MEMBER][REGION]
    backend.iam_instance_profile_associations.clear()
    backend.get_instance(INSTANCE).iam_instance_profile = None
    again = stolen.planned()
    assert set(again.hand_over) == {"ec2_instance"}
    assert again.consequences == first, "what people approved is what is done"


def test_a_session_that_ec2_got_is_an_instances_all_the_same(stolen: IamLab) -> None:
    """Its profile was taken away meanwhile: CloudTrail shows whose the session was."""
    run_instance()
    issued(stolen, EC2)
    result = stolen.respond()
    assert result.status is Status.PARTIAL
    assert f"instance {INSTANCE} was not handed over" in result.detail
    arn = f"arn:aws:ec2:{REGION}:{MEMBER}:instance/{INSTANCE}"
    own = stolen.ids["target"]._replace(
        kind="ec2_instance",
        id=INSTANCE,
        arn=arn,
    )
    joined = stolen.record.containments.join(
        own.reference(),
        "inc-other",
        "ec2_instance",
    )
    stolen.record.containments.set(
        arn,
        joined.generation,
        status=Status.CONTAINED,
    )
    assert stolen.verify(stolen.ids["target"]).status is Status.CONTAINED


def test_a_hand_over_before_an_approval_counts_after_it(stolen: IamLab) -> None:
    """It is in the incident's log: the containment's record begins after the approval."""
    stolen.finding_type = EXFILTRATION
    planned = stolen.planned()
    stolen.record.put_target(
        INCIDENT,
        planned.target.reference(),
        {},
    )
    stolen.context().log_action(
        planned.target,
        HAND_OVER,
        "FAILED",
        "no switch lets it act",
    )
    result = stolen.respond()
    assert result.status is Status.PARTIAL
    assert "no switch lets it act" in result.detail


@pytest.mark.parametrize("is_read", [True, False])
def test_a_failed_hand_over_counts_while_the_instance_may_be_the_one(
    stolen: IamLab, is_read: bool
) -> None:
    """People were asked while it could not be read; by now it shows that it is not, or still
    nothing.
    """
    profile("admin")
    run_instance()
    issued(stolen, alice(stolen))
    stolen.fail("DescribeInstances", "UnauthorizedOperation")
    planned = stolen.planned()
    stolen.record.put_target(
        INCIDENT,
        planned.target.reference(),
        {},
    )
    stolen.context().log_action(
        planned.target,
        HAND_OVER,
        "FAILED",
        "could not be read",
    )
    if is_read:
        stolen.faults.clear()
    result = stolen.respond()
    assert ("could not be read" in result.detail) is not is_read
    assert (HAND_OVER in stolen.actions()) is not is_read
