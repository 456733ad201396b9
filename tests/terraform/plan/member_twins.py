"""The roles of one member account twice: as responder-role plans them, and as CloudFormation would
read responder-stackset's template there. One root of pairs, planned once.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.terraform_tools import Json, copy_module, initialized, terraform

MEMBER, SECURITY = "222222222222", "111111111111"
# A playbook whose policies have what Fn::Sub and JSON trip over; in the copy that is planned only.
AWKWARD = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": "arn:${partition}:s3:::b/$${aws:username}/${account_id}/*",
        },
        {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::$${aws:PrincipalAccount}/*"},
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"StringLike": {"aws:userid": '\\"<&>é", ${partition}":'}},
        },
    ],
}
# Of a role; another one would not be compared.
PROPERTIES = {
    "RoleName",
    "Description",
    "Path",
    "MaxSessionDuration",
    "AssumeRolePolicyDocument",
    "Policies",
    "PermissionsBoundary",
    "Tags",
}
COMMON = {
    "name_prefix": "guardduty-response",
    "security_account_id": SECURITY,
    "partition": "aws",
    "iam_path": "/",
    "playbooks": ["ec2_instance", "iam_principal"],
}
CHANGES = {"changes": {"description": "Calls.", "pattern": '{"source":["aws.iam"]}'}}
# Of a combination: what the modules take beside the hand-over
BESIDE = ("tags", "permissions_boundary", "identity_center")
COMBINATIONS: dict[str, Json] = {
    "defaults": {},
    "everything": {
        "organization_id": "o-sandbox001",
        "restore": ["ec2_instance", "iam_principal"],
        "remediate": ["iam_principal"],
        "rotate_keys": True,
        "terminate": ["ec2_instance"],
        "forensics": True,
        "untrack_connections": True,
        "identity_center": True,
        "name_prefix": "gdr",
        "tags": {"team": "security", "cost:centre": "é"},
        "iam_path": "/security/response/",
        "permissions_boundary": f"arn:aws:iam::{MEMBER}:policy/boundary",
    },
    "one playbook, boundary of AWS": {
        "playbooks": ["iam_principal"],
        "restore": ["iam_principal"],
        "permissions_boundary": "arn:aws:iam::aws:policy/PowerUserAccess",
    },
    "Identity Center alone": {"playbooks": [], "identity_center": True, "tags": {"a": "b"}},
    "remediation without rotation": {
        "remediate": ["iam_principal"],
        "restore": ["iam_principal"],
        "forensics": True,
    },
    "GovCloud": {
        "partition": "aws-us-gov",
        "organization_id": "o-sandbox001",
        "restore": ["ec2_instance"],
        "terminate": ["ec2_instance"],
    },
    "awkward": {"playbooks": ["awk_ward"]},
}


@dataclass(frozen=True)
class Twins:
    """Role and profile by name, from Terraform's plan and from the template; and the template's
    own text.
    """

    terraform: dict[str, Json]
    template: dict[str, Json]
    text: str


def add_playbook(module: Path, name: str, policy: Json) -> None:
    """A playbook of that name in a copy of the module; only its policies."""
    target = module / "playbooks" / name
    target.mkdir()
    for kind in ("responder", "collector", "monitor"):
        (target / f"{kind}-policy.json").write_text(json.dumps(policy, ensure_ascii=False))


def root_of(module: Path, combinations: dict[str, Json]) -> Path:
    """A root that calls both modules for each combination."""
    root = module / "tests" / "twins"
    root.mkdir(parents=True)
    # The provider takes its partition from the caller's ARN, which the server of plans says is in
    # aws; else from the Region.
    gov = {"alias": "gov", "region": "us-gov-west-1", "skip_requesting_account_id": True}
    provider = {
        "access_key": MEMBER,
        "secret_key": "test",
        "skip_metadata_api_check": True,
        "skip_credentials_validation": True,
    }
    calls: Json = {}
    outputs: Json = {}
    for number, (name, switches) in enumerate(combinations.items()):
        where = {"aws": "aws.gov" if name == "GovCloud" else "aws"}
        handed = {key: value for key, value in switches.items() if key not in BESIDE}
        handed["identity_center"] = switches.get("identity_center", False)
        partition = switches.get("partition", "aws")
        bus = f"arn:{partition}:events:us-gov-west-1:{SECURITY}:event-bus/default"
        only_member = {"filter": "INTERSECTION", "ids": [MEMBER]}
        targets = {
            "organizational_units": {"all": "r-ab12"},
            "accounts": only_member,
            "auto_deployment": {"enabled": False},
        }
        calls[f"hand_over_{number}"] = {
            "source": "../../modules/member-hand-over",
            **COMMON,
            **handed,
            "forwarder": {"event_bus_arn": bus, "rules": CHANGES},
        }
        shared = {
            **{key: value for key, value in switches.items() if key in BESIDE},
            "for_member_accounts": f"${{module.hand_over_{number}.value}}",
            "providers": where,
        }
        calls[f"role_{number}"] = {"source": "../../modules/responder-role", **shared}
        calls[f"stackset_{number}"] = {
            "source": "../../modules/responder-stackset",
            "forwarder_regions": ["us-gov-west-1", "us-east-1"],
            **targets,
            **shared,
        }
        outputs[f"template_{number}"] = {"value": f"${{module.stackset_{number}.template_body}}"}
    (root / "main.tf.json").write_text(
        json.dumps(
            {
                "provider": {"aws": [{"region": "us-east-1", **provider}, {**gov, **provider}]},
                "module": calls,
                "output": outputs,
            }
        )
    )
    return root


def substituted(value: Any, account: str, region: str | None = None) -> Any:
    """The value as CloudFormation reads it: Fn::Sub resolved, and nothing else in it. Roles have
    no Region.
    """
    known = {"AWS::AccountId": account, **({"AWS::Region": region} if region else {})}

    def replacement(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"${{{name[1:]}}}" if name.startswith("!") else known[name]

    if isinstance(value, list):
        return [substituted(item, account, region) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Sub" in value:
        assert list(value) == ["Fn::Sub"] and isinstance(value["Fn::Sub"], str), value
        assert "${" in value["Fn::Sub"], f"nothing to substitute in {value}"
        return re.sub(
            r"\$\{([^}]*)\}",
            replacement,
            value["Fn::Sub"],
        )
    return {key: substituted(item, account, region) for key, item in value.items()}


def of_template(text: str, account: str) -> dict[str, Json]:
    """``role <name>`` and ``profile <name>`` -> what CloudFormation makes in that account."""
    resources = json.loads(text)["Resources"]
    found: dict[str, Json] = {}
    for resource in resources.values():
        made = substituted(resource["Properties"], account)
        assert "${AWS::" not in json.dumps(made) and "${!" not in json.dumps(made)
        if resource["Type"] == "AWS::IAM::InstanceProfile":
            [role] = made["Roles"]
            found[f"profile {made['InstanceProfileName']}"] = {
                "path": made["Path"],
                "role": resources[role["Ref"]]["Properties"]["RoleName"],
            }
            continue
        assert resource["Type"] == "AWS::IAM::Role"
        assert set(made) <= PROPERTIES
        found[f"role {made['RoleName']}"] = {
            "description": made["Description"],
            "path": made["Path"],
            "boundary": made.get("PermissionsBoundary"),
            "session": made["MaxSessionDuration"],
            "trust": made["AssumeRolePolicyDocument"],
            "policies": {
                policy["PolicyName"]: policy["PolicyDocument"] for policy in made["Policies"]
            },
            "tags": {tag["Key"]: tag["Value"] for tag in made.get("Tags", [])},
        }
    return found


def _unnamed(policy: Json) -> Json:
    """Returns a policy without the names of its statements, which the template leaves out."""
    for statement in policy["Statement"]:
        statement.pop("Sid", None)
    return policy


def of_plan(resources: list[Json]) -> dict[str, Json]:
    """The same of what Terraform plans, its policies beside their roles by the resource's own
    name and key.
    """
    found: dict[str, Json] = {}
    policies: dict[str, Json] = {}
    names: dict[str, str] = {}
    for resource in resources:
        key, values = resource["address"].split(resource["type"] + ".")[1], resource["values"]
        if resource["type"] == "aws_iam_role_policy":
            policies[key] = {values["name"]: _unnamed(json.loads(values["policy"]))}
        elif resource["type"] == "aws_iam_instance_profile":
            found[f"profile {values['name']}"] = {"path": values["path"], "role": values["role"]}
        elif resource["type"] == "aws_iam_role":
            names[key] = values["name"]
            found[f"role {values['name']}"] = {
                "description": values["description"],
                "path": values["path"],
                "boundary": values["permissions_boundary"],
                "session": values["max_session_duration"],
                "trust": _unnamed(json.loads(values["assume_role_policy"])),
                "tags": values["tags"] or {},
            }
        else:
            raise AssertionError(resource["type"])
    assert policies.keys() == names.keys()
    for key, name in names.items():
        found[f"role {name}"]["policies"] = policies[key]
    return found


def plan_twins(scratch: Path, endpoint: str) -> dict[str, Twins]:
    """Combination -> both sides."""
    module = copy_module(scratch / "module")
    add_playbook(
        module,
        "awk_ward",
        AWKWARD,
    )
    root = initialized(root_of(module, COMBINATIONS), scratch)
    done = terraform(
        root,
        scratch,
        "plan",
        "-input=false",
        "-no-color",
        "-refresh=false",
        "-out=plan",
        endpoint=endpoint,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    shown = json.loads(terraform(root, scratch, "show", "-json", "plan", endpoint=endpoint).stdout)[
        "planned_values"
    ]
    modules = {
        child["address"]: child.get("resources", [])
        for child in shown["root_module"]["child_modules"]
    }
    found: dict[str, Twins] = {}
    for number, name in enumerate(COMBINATIONS):
        text = shown["outputs"][f"template_{number}"]["value"]
        managed = [
            resource
            for resource in modules[f"module.role_{number}"]
            if resource["mode"] == "managed"
        ]
        found[name] = Twins(
            of_plan(managed),
            of_template(text, MEMBER),
            text,
        )
    return found
