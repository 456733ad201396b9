"""Writes docs/playbook-options.md from the playbooks' manifests, and docs/settings.md from
schema/variables.

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

SETTINGS = ROOT / "docs" / "settings.md"
SETTINGS_HEAD = """# Keys of the variables that are objects

Written from `schema/variables/<name>.json` by
`.venv/bin/python -m tests.support.option_tables`; a test compares them.

What is left out, or null, has its default. A key that is not here fails the plan; the error names
the nearest key. A value of another type, or one that is not allowed, fails it too, with the key,
what it must be, and an example. [mistakes.md](mistakes.md) shows how mistakes are answered. The
output `settings` shows every key with its value.

A key with a dot is a key of the object before the dot; `*` stands for a name, or for each item of a
list. Rules over several keys are beside the variables, in [variables.tf](../variables.tf),
[variables-policy.tf](../variables-policy.tf) and [variables-regions.tf](../variables-regions.tf).
"""


def schemas() -> dict[str, dict[str, Any]]:
    """Returns the schema of every variable that is an object, by name."""
    return {
        path.stem: json.loads(path.read_text())
        for path in sorted((ROOT / "schema" / "variables").glob("*.json"))
    }


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
        whole = "whole, " if rule.get("integer") else ""
        upper = f"to {rule['maximum']}" if "maximum" in rule else "and above"
        return f"{whole}{rule['minimum']} {upper}"
    if "exactly_one_of" in rule:
        return "either " + " or ".join(f"`{name}`" for name in rule["exactly_one_of"])
    return ""


def _table(noun: str, options: dict[str, Any]) -> list[str]:
    lines = [f"| {noun} | type | default | values | meaning |", "|---|---|---|---|---|"]
    for path, rule in options.items():
        default = "required" if rule.get("required") else _value(rule.get("default"))
        cells = [f"`{path}`", rule["type"], default, _allowed(rule), rule["text"]]
        lines.append(
            "| " + " | ".join(cell.replace("|", "\\|").replace("<", "\\<") for cell in cells) + " |"
        )
    return lines


def render() -> str:
    """Returns the document of the playbooks' options."""
    lines = [HEAD]
    for name, manifest in manifests().items():
        lines += [f"## {name}", "", *_table("option", manifest["options"])]
        rules = [f"- {rule['text']}." for rule in manifest.get("rules", [])]
        lines += ["", *(["What an option needs:", "", *rules, ""] if rules else [])]
    return "\n".join(lines).rstrip() + "\n"


def render_settings() -> str:
    """Returns the document of the variables that are objects."""
    lines = [SETTINGS_HEAD]
    for name, schema in schemas().items():
        lines += [f"## {name}", "", schema["text"], "", *_table("key", schema["options"]), ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    for document, text in ((DOCUMENT, render()), (SETTINGS, render_settings())):
        document.write_text(text)
        print(document.relative_to(ROOT))
