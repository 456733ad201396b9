"""GuardDuty's control plane: what it refuses, and what it does to members. A Region of its own
for each test.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import MEMBER, SECURITY

MANAGEMENT = "999999999999"
_NAMES = (
    "ap-south-1 ap-northeast-1 ap-northeast-2 ap-southeast-1 ap-southeast-2 ca-central-1 "
    "eu-central-1 eu-north-1 eu-west-2 sa-east-1 af-south-1 ap-east-1 eu-south-1 me-south-1"
)
_REGIONS = itertools.cycle(_NAMES.split())


def refused(call: Callable[[], Any], why: str) -> None:
    with pytest.raises(ClientError, match=why) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == "BadRequestException"


def statuses(features: list[dict[str, Any]], field: str = "Status") -> dict[str, str]:
    """Flat, as the module's switches: FEATURE and FEATURE/CONFIGURATION."""
    found = {}
    for feature in features:
        found[feature["Name"]] = feature[field]
        found.update(
            {
                f"{feature['Name']}/{configuration['Name']}": configuration[field]
                for configuration in feature.get("AdditionalConfiguration", [])
            }
        )
    return found


@dataclass
class Region:
    """GuardDuty of the three accounts in one Region."""

    aws: Aws

    def of(self, account: str) -> Any:
        return self.aws.client("guardduty", account)

    def detector(self, account: str) -> str:
        [found] = self.of(account).list_detectors()["DetectorIds"]
        return str(found)

    def features(self, account: str) -> dict[str, str]:
        return statuses(
            self.of(account).get_detector(DetectorId=self.detector(account))["Features"]
        )

    def frequency(self, account: str) -> str:
        return str(
            self.of(account).get_detector(DetectorId=self.detector(account))[
                "FindingPublishingFrequency"
            ]
        )

    def delegate(self) -> str:
        """Register the security account; its detector."""
        self.of(MANAGEMENT).enable_organization_admin_account(AdminAccountId=SECURITY)
        return self.detector(SECURITY)

    def configure(self, detector: str, members: str = "ALL", *features: dict[str, Any]) -> None:
        self.of(SECURITY).update_organization_configuration(
            DetectorId=detector, AutoEnableOrganizationMembers=members, Features=list(features)
        )

    def members(self, detector: str) -> set[str]:
        return {
            member["AccountId"]
            for member in self.of(SECURITY).list_members(DetectorId=detector)["Members"]
        }


@pytest.fixture
def region(aws: Aws) -> Iterator[Region]:
    yield Region(Aws(aws.endpoint, next(_REGIONS)))


def auto(name: str, status: str, **configurations: str) -> dict[str, Any]:
    items = [
        {"Name": configuration, "AutoEnable": value}
        for configuration, value in configurations.items()
    ]
    return {
        "Name": name,
        "AutoEnable": status,
        "AdditionalConfiguration": items,
    }


@pytest.mark.smoke
def test_only_the_management_account_delegates(region: Region) -> None:
    refused(
        lambda: region.of(SECURITY).enable_organization_admin_account(AdminAccountId=SECURITY),
        "not the master account",
    )
    refused(region.of(SECURITY).list_organization_admin_accounts, "not the master account")
    management = region.of(MANAGEMENT)
    refused(
        lambda: management.enable_organization_admin_account(AdminAccountId="555555555555"),
        "not member of AWS Organizations",
    )
    region.delegate()
    refused(
        lambda: management.enable_organization_admin_account(AdminAccountId=MEMBER),
        "another account is already enabled",
    )
    assert [
        administrator["AdminAccountId"]
        for administrator in management.list_organization_admin_accounts()["AdminAccounts"]
    ] == [SECURITY]
    refused(lambda: region.of(SECURITY).create_detector(Enable=True), "a detector already exists")


def test_the_organization_is_configured_after_delegation_only(region: Region) -> None:
    detector = region.of(SECURITY).create_detector(Enable=True)["DetectorId"]
    refused(lambda: region.configure(detector), "invalid or out-of-range")
    refused(
        lambda: region.of(SECURITY).describe_organization_configuration(DetectorId=detector),
        "invalid or out-of-range",
    )
    assert region.delegate() == detector
    region.configure(detector, "NEW")
    found = region.of(SECURITY).describe_organization_configuration(DetectorId=detector)
    assert found["AutoEnableOrganizationMembers"] == "NEW"
    assert found["AutoEnable"] is True
    refused(lambda: region.configure(detector, "NEW", auto("AI_ANALYST", "NEW")), "invalid")


def test_all_makes_everybody_a_member(region: Region) -> None:
    detector = region.delegate()
    plan = auto("RUNTIME_MONITORING", "ALL", EKS_ADDON_MANAGEMENT="ALL")
    region.configure(detector, "ALL", plan, auto("S3_DATA_EVENTS", "NEW"))
    assert MEMBER in region.members(detector)
    assert not {MANAGEMENT, SECURITY} & region.members(detector)
    found = region.features(MEMBER)
    assert (
        found["RUNTIME_MONITORING"]
        == found["RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT"]
        == found["S3_DATA_EVENTS"]
        == "ENABLED"
    )
    assert (
        found["RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT"] == found["RDS_LOGIN_EVENTS"] == "DISABLED"
    )
    region.configure(detector, "ALL", auto("RDS_LOGIN_EVENTS", "ALL"))
    assert region.features(MEMBER)["RDS_LOGIN_EVENTS"] == "ENABLED"


def test_the_management_account_needs_its_own_detector(region: Region) -> None:
    detector = region.delegate()
    account = [{"AccountId": MANAGEMENT, "Email": "management@example.com"}]
    [answer] = region.of(SECURITY).create_members(DetectorId=detector, AccountDetails=account)[
        "UnprocessedAccounts"
    ]
    assert "must first enable GuardDuty" in answer["Result"]
    assert MANAGEMENT not in region.members(detector)
    region.of(MANAGEMENT).create_detector(Enable=True)
    assert not region.of(SECURITY).create_members(DetectorId=detector, AccountDetails=account)[
        "UnprocessedAccounts"
    ]
    assert region.members(detector) == {MANAGEMENT}


def test_configurations_come_back_in_the_apis_order(region: Region) -> None:
    detector = region.delegate()
    agents = {
        "EC2_AGENT_MANAGEMENT": "NEW",
        "ECS_FARGATE_AGENT_MANAGEMENT": "NONE",
        "EKS_ADDON_MANAGEMENT": "NEW",
    }
    region.configure(detector, "NEW", auto("RUNTIME_MONITORING", "NEW", **agents))
    known = region.of(SECURITY).describe_organization_configuration(DetectorId=detector)["Features"]
    runtime = next(feature for feature in known if feature["Name"] == "RUNTIME_MONITORING")
    assert [
        (configuration["Name"], configuration["AutoEnable"])
        for configuration in runtime["AdditionalConfiguration"]
    ] == [
        ("ECS_FARGATE_AGENT_MANAGEMENT", "NONE"),
        ("EC2_AGENT_MANAGEMENT", "NEW"),
        ("EKS_ADDON_MANAGEMENT", "NEW"),
    ]
    sent = [
        {"Name": "ECS_FARGATE_AGENT_MANAGEMENT", "Status": "ENABLED"},
        {"Name": "EKS_ADDON_MANAGEMENT", "Status": "ENABLED"},
    ]
    plan = {
        "Name": "RUNTIME_MONITORING",
        "Status": "ENABLED",
        "AdditionalConfiguration": sent,
    }
    region.of(SECURITY).update_detector(DetectorId=detector, Features=[plan])
    found = list(region.features(SECURITY).items())
    assert [plan for plan in found if plan[0].startswith("RUNTIME_MONITORING/")] == [
        ("RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT", "ENABLED"),
        ("RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT", "DISABLED"),
        ("RUNTIME_MONITORING/ECS_FARGATE_AGENT_MANAGEMENT", "ENABLED"),
    ]


def test_no_exception_from_what_is_for_all(region: Region) -> None:
    detector = region.delegate()
    region.configure(detector, "ALL", auto("S3_DATA_EVENTS", "ALL"))
    security = region.of(SECURITY)

    def update(account: str) -> Any:
        off = [{"Name": "S3_DATA_EVENTS", "Status": "DISABLED"}]
        return security.update_member_detectors(
            DetectorId=detector, AccountIds=[account], Features=off
        )["UnprocessedAccounts"]

    refused(lambda: update(MEMBER), "S3_DATA_EVENTS is ALL")
    region.configure(detector, "ALL", auto("S3_DATA_EVENTS", "NEW"))
    assert update(MEMBER) == []
    assert region.features(MEMBER)["S3_DATA_EVENTS"] == "DISABLED"
    [shown] = security.get_member_detectors(DetectorId=detector, AccountIds=[MEMBER])[
        "MemberDataSourceConfigurations"
    ]
    assert statuses(shown["Features"])["S3_DATA_EVENTS"] == "DISABLED"
    assert "not an associated member" in update(MANAGEMENT)[0]["Result"]


def test_a_detector_goes_after_its_members(region: Region) -> None:
    detector = region.delegate()
    region.configure(detector, "ALL")
    security = region.of(SECURITY)

    def ask(operation: str) -> list[Any]:
        answer = getattr(security, operation)(DetectorId=detector, AccountIds=[MEMBER])
        found: list[Any] = answer["UnprocessedAccounts"]
        return found

    refused(
        lambda: security.delete_detector(DetectorId=detector),
        "while it has invited or associated members",
    )
    assert "ALL" in ask("disassociate_members")[0]["Result"]
    region.configure(detector, "NONE", auto("EKS_AUDIT_LOGS", "ALL"))
    assert "EKS_AUDIT_LOGS is ALL" in ask("disassociate_members")[0]["Result"], (
        "A protection plan holds members too."
    )
    region.configure(detector, "NONE", auto("EKS_AUDIT_LOGS", "NONE"))
    assert "still associated" in ask("delete_members")[0]["Result"]
    assert ask("disassociate_members") == ask("delete_members") == []
    assert MEMBER not in region.members(detector)
    region.configure(detector, "ALL")
    region.of(MANAGEMENT).disable_organization_admin_account(AdminAccountId=SECURITY)
    security.delete_detector(DetectorId=detector)
    assert region.detector(MEMBER), "A member that is let go keeps its detector."


def test_members_are_named_fifty_at_a_time(region: Region) -> None:
    detector = region.delegate()
    names = [f"{number:012}" for number in range(51)]
    security = region.of(SECURITY)
    for operation in ("get_members", "disassociate_members", "delete_members"):
        call = functools.partial(getattr(security, operation), DetectorId=detector)
        refused(functools.partial(call, AccountIds=names), "invalid or out-of-range")
        assert len(call(AccountIds=names[:50])["UnprocessedAccounts"]) == 50


def test_data_sources_know_nothing_of_all(region: Region) -> None:
    """What Terraform's provider sends of its state when auto-enable changes: plans that were ALL
    are for new accounts then.
    """
    detector = region.delegate()
    region.configure(
        detector, "NEW", auto("S3_DATA_EVENTS", "ALL"), auto("RDS_LOGIN_EVENTS", "ALL")
    )
    known = region.of(SECURITY).describe_organization_configuration(DetectorId=detector)
    sources = known["DataSources"]
    assert sources["S3Logs"]["AutoEnable"] is True
    assert sources["Kubernetes"]["AuditLogs"]["AutoEnable"] is False
    region.of(SECURITY).update_organization_configuration(
        DetectorId=detector,
        AutoEnableOrganizationMembers="ALL",
        DataSources={
            "S3Logs": {"AutoEnable": True},
            "Kubernetes": {"AuditLogs": {"AutoEnable": False}},
        },
    )
    known = region.of(SECURITY).describe_organization_configuration(DetectorId=detector)
    found = statuses(known["Features"], "AutoEnable")
    assert found["S3_DATA_EVENTS"] == "NEW"
    assert found["EKS_AUDIT_LOGS"] == "NONE"
    assert found["RDS_LOGIN_EVENTS"] == "ALL"


def test_a_member_does_not_set_its_own_plans(region: Region) -> None:
    off = [{"Name": "S3_DATA_EVENTS", "Status": "DISABLED"}]
    own = region.of(MEMBER).create_detector(Enable=True)["DetectorId"]
    region.of(MEMBER).update_detector(DetectorId=own, Features=off)
    assert region.features(MEMBER)["S3_DATA_EVENTS"] == "DISABLED"
    region.configure(region.delegate(), "ALL")
    refused(
        lambda: region.of(MEMBER).update_detector(DetectorId=own, Features=off),
        "set by its administrator",
    )
    region.of(MEMBER).update_detector(DetectorId=own, FindingPublishingFrequency="ONE_HOUR")


def test_plans_that_exclude_or_need_each_other(region: Region) -> None:
    detector = region.of(SECURITY).create_detector(Enable=True)["DetectorId"]
    found = region.features(SECURITY)
    assert found["S3_DATA_EVENTS"] == found["LAMBDA_NETWORK_LOGS"] == "ENABLED"
    assert found["RUNTIME_MONITORING"] == "DISABLED"

    def put(name: str, status: str, **agents: str) -> None:
        items = [{"Name": agent, "Status": value} for agent, value in agents.items()]
        plan = {
            "Name": name,
            "Status": status,
            "AdditionalConfiguration": items,
        }
        region.of(SECURITY).update_detector(DetectorId=detector, Features=[plan])

    refused(lambda: put("DNS_LOGS", "DISABLED"), "invalid or out-of-range")
    refused(
        lambda: put("S3_DATA_EVENTS", "ENABLED", EKS_ADDON_MANAGEMENT="ENABLED"),
        "invalid or out-of-range",
    )
    refused(
        lambda: put("RUNTIME_MONITORING", "DISABLED", EC2_AGENT_MANAGEMENT="ENABLED"),
        "needs RUNTIME_MONITORING",
    )
    assert found["RDS_LOGIN_EVENTS/RDS_DATA_RISK"] == found["AI_ANALYST"] == "DISABLED"
    put("RDS_LOGIN_EVENTS", "ENABLED", RDS_DATA_RISK="ENABLED")
    put("RDS_LOGIN_EVENTS", "ENABLED")
    assert region.features(SECURITY)["RDS_LOGIN_EVENTS/RDS_DATA_RISK"] == "ENABLED"
    put("RUNTIME_MONITORING", "ENABLED")
    refused(lambda: put("EKS_RUNTIME_MONITORING", "ENABLED"), "exclude each other")
    assert region.features(SECURITY)["EKS_RUNTIME_MONITORING"] == "DISABLED"


def test_ranks_have_no_gaps(region: Region) -> None:
    detector = region.of(SECURITY).create_detector(Enable=True)["DetectorId"]
    guardduty = region.of(SECURITY)

    def make(name: str, rank: int) -> None:
        criteria = {"Criterion": {"severity": {"GreaterThanOrEqual": 7}}}
        guardduty.create_filter(
            DetectorId=detector, Name=name, Rank=rank, Action="ARCHIVE", FindingCriteria=criteria
        )

    def ranks() -> dict[str, int]:
        names = guardduty.list_filters(DetectorId=detector)["FilterNames"]
        return {
            name: guardduty.get_filter(DetectorId=detector, FilterName=name)["Rank"]
            for name in names
        }

    refused(lambda: make("late", 2), "rank is out-of-bounds")
    make("first", 1)
    make("second", 2)
    make("in-between", 2)
    assert ranks() == {
        "first": 1,
        "in-between": 2,
        "second": 3,
    }
    refused(
        lambda: guardduty.update_filter(
            DetectorId=detector,
            FilterName="first",
            Rank=4,
        ),
        "rank is out-of-bounds",
    )
    guardduty.delete_filter(DetectorId=detector, FilterName="first")
    assert ranks() == {"in-between": 1, "second": 2}


def test_trusted_access_and_accounts_are_the_organizations(aws: Aws) -> None:
    organizations = aws.client("organizations", MANAGEMENT)
    accounts = {account["Id"]: account for account in organizations.list_accounts()["Accounts"]}
    assert {MANAGEMENT, SECURITY, MEMBER} <= set(accounts)
    assert accounts[SECURITY]["State"] == "ACTIVE" and "Status" not in accounts[SECURITY], (
        "AWS retired Status."
    )
    known = organizations.list_aws_service_access_for_organization()["EnabledServicePrincipals"]
    assert {service["ServicePrincipal"] for service in known} >= {
        "guardduty.amazonaws.com",
        "malware-protection.guardduty.amazonaws.com",
    }
