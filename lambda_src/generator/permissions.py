"""Makes docs/permissions.md: every permission of a member role, with what it is for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from guardduty_response.containment.control import AnyControl, Condition
from guardduty_response.containment.declared import (
    CONTAINS,
    FINDS,
    READS,
    RESTORES,
    Example,
    MemberRole,
    grants_of,
    resources_of,
)

from generator.runbook import sentence

_TEXT = """# Permissions of the member roles

Written from the controls and from `permissions` of each playbook's package by
`lambda_src/generate.py`; a test compares them. Change those, not this page.

Each playbook has a role for each job in every member account
([who may assume them](../SECURITY.md#how-roles-trust-each-other)). What a role may do there is what
its controls need, and what belongs to no control; each session of it is narrowed further, to the
resources of its incident
([0002](decisions/0002-session-policies-of-discovered-arns.md)).

Resources are without `arn:${{partition}}:`. `${{account_id}}` is the member account,
`${{security_account_id}}` the one in which the response runs, `${{name_prefix}}` the deployment's
prefix, and `${{own_role_arns}}` the response's own roles. A statement with a switch is there only
if the options of the playbooks switch it on. Words in capitals, `P` and `I` stand for names, as in
the runbooks.

Which roles there are follows from the same options: a restorer with `restore`, a remediator with
`remediate` or `rotate_key`, a terminator with `finish = "terminate"`. The root module's output
`for_member_accounts` names them, and
[modules/member-roles](../modules/member-roles/main.tf) fills the IAM policies in. An account in
which the response may do less takes the value without some of the roles, and names what is left:

```hcl
locals {{
  all   = jsondecode(file("${{path.module}}/for_member_accounts.json"))
  fewer = ["responder/ec2_instance", "collector/ec2_instance", "monitor/ec2_instance"]
}}

module "guardduty_responder_role" {{
  source = "github.com/example/terraform-aws-guardduty-response//modules/responder-role"

  for_member_accounts = merge(local.all, {{
    roles = {{ for key in local.fewer : key => local.all.roles[key] }}
  }})
}}
```
{sections}"""
_HEAD = (
    "| for | actions | resource | condition | why |",
    "|---|---|---|---|---|",
)
_WHY = {
    READS: "reads it, to plan, to verify and to compare",
    FINDS: "finds what is not recorded yet",
    CONTAINS: "contains: {contained}",
    RESTORES: "gives back what containment changed",
}
_PARTITION = "arn:${partition}:"


class Declared(NamedTuple):
    """Describes what one playbook declares."""

    name: str
    controls: tuple[type[AnyControl], ...]
    roles: tuple[MemberRole, ...]
    examples: tuple[Example, ...]
    why: Mapping[tuple[str, str], str]

    def contained(self, control: type[AnyControl]) -> str:
        """Says what containment makes of a control's setting. Raises ValueError when the control
        has no example.
        """
        for example in self.examples:
            if example.control.name == control.name:
                return sentence(example)
        raise ValueError(
            f"the control {control.name} of {self.name} has no example: add it to"
            f" playbooks/{self.name}/examples.py"
        )


def document(playbooks: Iterable[Declared]) -> str:
    """Returns the page."""
    lines = [line for playbook in playbooks for line in _section(playbook)]
    return _TEXT.format(sections="\n".join(["", *lines])) + "\n"


def _section(playbook: Declared) -> Iterator[str]:
    yield f"## {playbook.name}"
    for role in playbook.roles:
        policy = f"../playbooks/{playbook.name}/{role.kind}-policy.json"
        yield ""
        yield f"### {playbook.name}: {role.kind}"
        yield ""
        yield f"The IAM policy is [{role.kind}-policy.json]({policy})."
        yield ""
        yield from _HEAD
        yield from _of_controls(playbook, role)
        yield from _of_permissions(role)


def _of_controls(playbook: Declared, role: MemberRole) -> Iterator[str]:
    for control in playbook.controls:
        for purpose in role.uses:
            why = _WHY[purpose].format(contained=playbook.contained(control))
            for grant in grants_of(control, purpose):
                on = resources_of(grant.on)
                own = (playbook.why.get((control.name, action)) for action in grant.actions)
                reason = next(filter(None, own), why) + switch_text(grant.option)
                yield _row(f"`{control.name}`", grant.actions, on, grant.condition, reason)


def _of_permissions(role: MemberRole) -> Iterator[str]:
    for permission in role.permissions:
        yield _row(
            "**denied**" if permission.denies else "no control",
            permission.actions,
            resources_of(permission.on),
            permission.condition,
            permission.why + switch_text(permission.switch),
        )


def switch_text(switch: str) -> str:
    """Says which switch adds a permission; empty: none does."""
    return f" (switch `{switch}`)" if switch else ""


def _row(
    what: str,
    actions: Iterable[str],
    resources: Iterable[str],
    condition: Condition,
    why: str,
) -> str:
    cells = (
        what,
        _codes(sorted(actions)),
        _codes(resource.removeprefix(_PARTITION) for resource in resources),
        _conditions(condition),
        why,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _conditions(condition: Condition) -> str:
    return "<br>".join(
        f"{operator} `{key}` `{_value(value)}`"
        for operator, keys in condition.items()
        for key, value in keys.items()
    )


def _value(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _codes(texts: Iterable[str]) -> str:
    return "<br>".join(f"`{text}`" for text in texts)
