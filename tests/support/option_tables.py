"""Writes docs/playbook-options.md from the playbooks' manifests.

``python -m tests.support.option_tables``
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.catalogue import manifests
from tests.support.repository import ROOT

DOCUMENT = ROOT / "docs" / "playbook-options.md"
HEAD = """# Options of the playbooks

Written from `playbooks/<name>/playbook.yaml` by
`.venv/bin/python -m tests.support.option_tables`; a test compares them.

Each playbook has a variable of its name. What is left out has its default:

```hcl
module "guardduty_response" {
  source = "github.com/example/terraform-aws-guardduty-response"

  remediations  = { "CryptoCurrency:EC2/*" = "auto" }
  ec2_instance  = { auto_scaling = "standby", restore = true }
  iam_principal = { revoke_sessions = "role" }
}
```

An option or a value that a playbook does not know fails the plan; the error names the nearest
option and the values that are allowed. The output `playbook_options` shows every option with its
value. An option with a dot is a key of the object before the dot.
"""


def _value(value: Any) -> str:
    return "" if value is None else f"`{json.dumps(value)}`"


def _allowed(rule: dict[str, Any]) -> str:
    """Returns the values that an option may have, for a cell of a table."""
    if "values" in rule:
        meanings = rule.get("meanings", {})
        values = [
            f"`{value}` ({meanings[value]})" if value in meanings else f"`{value}`"
            for value in rule["values"]
        ]
        return ("any of " if rule["type"].startswith("set") else "") + ", ".join(values)
    if "must" in rule:
        return str(rule["must"]).removeprefix("must be ").removeprefix("must ")
    if "minimum" in rule:
        return f"{rule['minimum']} to {rule['maximum']}"
    if "exactly_one_of" in rule:
        return "either " + " or ".join(f"`{name}`" for name in rule["exactly_one_of"])
    return ""


def render() -> str:
    """Returns the document."""
    lines = [HEAD]
    for name, manifest in manifests().items():
        lines += [
            f"## {name}",
            "",
            "| option | type | default | values | meaning |",
            "|---|---|---|---|---|",
        ]
        for path, rule in manifest["options"].items():
            default = "required" if rule.get("required") else _value(rule.get("default"))
            cells = [f"`{path}`", rule["type"], default, _allowed(rule), rule["text"]]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        rules = [f"- {rule['text']}." for rule in manifest.get("rules", [])]
        lines += ["", *(["What an option needs:", "", *rules, ""] if rules else [])]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(render())
    print(DOCUMENT.relative_to(ROOT))
