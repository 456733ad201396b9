"""Writes docs/finding-types.md from the catalogue.

``python -m tests.support.finding_types_document``
"""

from __future__ import annotations

from typing import Any

from tests.support.catalogue import features, finding_types, playbook_of
from tests.support.repository import ROOT

DOCUMENT = ROOT / "docs" / "finding-types.md"
HEAD = """# Finding types

Written from [catalogue/finding_types.json](../catalogue/finding_types.json) by
`.venv/bin/python -m tests.support.finding_types_document`; a test compares them.

A *protection plan* is what GuardDuty needs to raise the type; what is foundational needs none.
The *recommended mode* is where to begin once you have rehearsed (`dry_run`) for some weeks: `auto`
where hardly anything legitimate looks like it, `approve` where something does, and `notify` where
no playbook answers or where containing would harm the wrong side. Nothing of it applies by itself:
the mode of a type without a key in `remediations` is `notify`.

What a finding names at run time decides which playbook answers it
([0015](decisions/0015-playbook-chosen-by-resource.md)). A finding of Runtime Monitoring about a pod
or a task is answered by nobody, although the table names `ec2_instance` for its type.

`make finding-types` compares the catalogue with botocore's model of GuardDuty and with AWS's
documentation, and says what is new, retired or renamed. CI runs it every week.
"""


def render() -> str:
    """Returns the document."""
    active = {kind: entry for kind, entry in finding_types().items() if entry["status"] == "active"}
    lines = [HEAD]
    for plan in sorted({entry["plan"] for entry in active.values()}):
        of_plan = {kind: entry for kind, entry in active.items() if entry["plan"] == plan}
        lines += [f"## {plan}", "", _switch(plan), ""]
        lines += ["| finding type | data source | playbook | recommended | why |"]
        lines += ["|---|---|---|---|---|"]
        lines += [_row(kind, entry) for kind, entry in of_plan.items()]
        lines += [""]
    retired = [f"`{kind}`" for kind in finding_types() if kind not in active]
    lines += ["## Retired", "", "GuardDuty raises these no longer: " + ", ".join(retired) + "."]
    return "\n".join(lines).rstrip() + "\n"


def _switch(plan: str) -> str:
    """Returns a sentence that says how the plan is switched on."""
    names = [name for name, feature in features().items() if feature["plan"] == plan]
    if names:
        return "Feature: " + ", ".join(f"`{name}`" for name in names) + "."
    return {
        "Custom Detection Rules": "On where a rule is associated with the account in live mode.",
        "Extended Threat Detection": "Always on; each plan adds signals that it can join.",
        "Foundational": "Always on.",
        "Malware Protection for Backup": "On where a scan is asked for.",
        "Malware Protection for S3": "On for the buckets of `malware_protection_s3`.",
    }[plan]


def _row(kind: str, entry: dict[str, Any]) -> str:
    playbook = playbook_of(kind)
    cells = [
        f"`{kind}`",
        entry["source"],
        f"`{playbook}`" if playbook else "none" if entry["resource_type"] else "by its resource",
        f"`{entry['mode']}`",
        entry["why"],
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    DOCUMENT.write_text(render())
    print(DOCUMENT.relative_to(ROOT))
