"""Protection plans newer than the module. The installed provider refuses their names, so what the
module makes of them is asked of ``terraform console``, which evaluates the module's locals without
any provider.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.identity_server import identity
from tests.support.terraform_tools import copy_module, environment, initialized, terraform

pytestmark = pytest.mark.terraform

FEATURES = {
    "QUANTUM_PROTECTION": "ENABLED",
    "QUANTUM_PROTECTION/AGENT": "DISABLED",
    "AI_ANALYST": "ENABLED",
    "RDS_LOGIN_EVENTS/RDS_DATA_RISK": "ENABLED",
    "RUNTIME_MONITORING/ZZ_AGENT": "ENABLED",
    "RUNTIME_MONITORING/AA_AGENT": "DISABLED",
}
ORGANIZATION = {
    "manage": True,
    "features": {"RUNTIME_MONITORING": "NEW"},
    "member_features": {
        "222222222222": {"RUNTIME_MONITORING": "ENABLED", "RUNTIME_MONITORING/MM_AGENT": "ENABLED"},
        "333333333333": {
            "RDS_LOGIN_EVENTS": "DISABLED",
            "RDS_LOGIN_EVENTS/RDS_DATA_RISK": "DISABLED",
        },
    },
}


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    scratch = tmp_path_factory.mktemp("names")
    directory = copy_module(scratch / "copy") / "modules" / "detector"
    return initialized(directory, scratch), scratch


def blocks(
    module: tuple[Path, Path],
    features: dict[str, str] | None = None,
    organization: dict[str, Any] | None = None,
) -> Any:
    directory, scratch = module
    variables = scratch / "names.tfvars.json"
    variables.write_text(
        json.dumps(
            {
                "features": FEATURES if features is None else features,
                "organization": organization or ORGANIZATION,
            }
        )
    )
    asked = (
        "jsonencode([local.features, local.detector_blocks, local.organization_blocks,"
        " local.member_blocks])\n"
    )
    done = subprocess.run(
        ["terraform", "console", f"-var-file={variables}"],
        cwd=directory,
        env=environment(scratch),
        input=asked,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(json.loads(done.stdout))


def names(found: list[dict[str, str]]) -> list[str]:
    return [" ".join(block.values()) for block in found]


def test_newer_names_are_taken_and_come_after_the_known_ones(module: tuple[Path, Path]) -> None:
    features, detector, organization, member = blocks(module)
    assert features["QUANTUM_PROTECTION"] == "ENABLED"
    assert names(detector["QUANTUM_PROTECTION"]) == ["AGENT DISABLED"]
    assert names(detector["RUNTIME_MONITORING"]) == [
        "EKS_ADDON_MANAGEMENT DISABLED",
        "EC2_AGENT_MANAGEMENT DISABLED",
        "ECS_FARGATE_AGENT_MANAGEMENT DISABLED",
        "AA_AGENT DISABLED",
        "ZZ_AGENT ENABLED",
    ]
    assert [
        (agent["name"], agent["auto_enable"]) for agent in organization["RUNTIME_MONITORING"]
    ] == [
        ("ECS_FARGATE_AGENT_MANAGEMENT", "NONE"),
        ("EC2_AGENT_MANAGEMENT", "NONE"),
        ("EKS_ADDON_MANAGEMENT", "NONE"),
        ("AA_AGENT", "NONE"),
        ("ZZ_AGENT", "NEW"),
    ]
    assert names(member["222222222222/RUNTIME_MONITORING"]) == [
        "EKS_ADDON_MANAGEMENT DISABLED",
        "EC2_AGENT_MANAGEMENT DISABLED",
        "ECS_FARGATE_AGENT_MANAGEMENT DISABLED",
        "AA_AGENT DISABLED",
        "MM_AGENT ENABLED",
        "ZZ_AGENT ENABLED",
    ]


def test_what_members_are_not_offered_is_not_set_for_them(module: tuple[Path, Path]) -> None:
    features, detector, organization, _ = blocks(module)
    assert features["AI_ANALYST"] == "ENABLED" and "AI_ANALYST" in detector
    assert "AI_ANALYST" not in organization and "QUANTUM_PROTECTION" in organization


def test_data_activity_is_sent_only_where_it_is_named(module: tuple[Path, Path]) -> None:
    _, detector, organization, member = blocks(module)
    assert names(detector["RDS_LOGIN_EVENTS"]) == ["RDS_DATA_RISK ENABLED"]
    assert names(organization["RDS_LOGIN_EVENTS"]) == ["ALL RDS_DATA_RISK"]
    assert names(member["333333333333/RDS_LOGIN_EVENTS"]) == ["RDS_DATA_RISK DISABLED"]
    unnamed: dict[str, dict[str, str]] = {"333333333333": {"RDS_LOGIN_EVENTS": "DISABLED"}}
    _, detector, organization, member = blocks(
        module, {}, {"manage": True, "member_features": unnamed}
    )
    assert detector["RDS_LOGIN_EVENTS"] == organization["RDS_LOGIN_EVENTS"] == []
    assert member["333333333333/RDS_LOGIN_EVENTS"] == []


def test_the_provider_is_asked_for_the_name_that_was_written(module: tuple[Path, Path]) -> None:
    """A misspelt plan reaches the provider, which says what it knows: it is not dropped."""
    directory, scratch = module
    misspelt = scratch / "misspelt.tfvars.json"
    misspelt.write_text(json.dumps({"features": {"S3_DATA_EVENT": "ENABLED"}}))
    with identity() as endpoint:
        arguments = ("-no-color", "-input=false", "-refresh=false", f"-var-file={misspelt}")
        done = terraform(directory, scratch, "plan", *arguments, endpoint=endpoint)
    assert done.returncode == 1 and "got S3_DATA_EVENT" in done.stdout
