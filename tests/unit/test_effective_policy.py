"""The command shows the whole policy of a plan: every finding type, every account that differs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli import effective_policy, policy_documents
from tests.support.catalogue import finding_types, playbook_of
from tests.support.repository import ROOT

Json = dict[str, Any]
MINER = "CryptoCurrency:EC2/BitcoinTool.B!DNS"
THIEF = "UnauthorizedAccess:IAMUser/TorIPCaller"
ACCOUNT, OTHER, THIRD, FOURTH = (digit * 12 for digit in "1234")
ADDRESS = "module.response.module.incident[0].terraform_data.config"
OLD_ADDRESS = "module.response.module.incident[0].aws_dynamodb_table_item.config"
HEAD = "### What GuardDuty findings are answered with\n\n"


def document(**changes: Any) -> Json:
    return {
        "version": 1,
        "paused": False,
        "remediations": {},
        "account_remediations": {},
        "minimum_severity": {},
        "active_playbooks": ["ec2_instance", "iam_principal"],
        "guardrails": {"exempt_accounts": [], "management_account_id": None},
        **changes,
    }


def of_machine(before: Json | None, after: Json | None, **more: Any) -> Json:
    def values(found: Json | None) -> Json | None:
        return None if found is None else {"triggers_replace": json.dumps(found)}

    change = {"actions": ["update"], "before": values(before), "after": values(after), **more}
    return {"address": ADDRESS, "name": "config", "change": change}


def plan(*changes: Json) -> Json:
    return {"format_version": "1.2", "resource_changes": list(changes)}


def state(found: Json) -> Json:
    resource = {
        "address": ADDRESS,
        "name": "config",
        "values": {"triggers_replace": json.dumps(found)},
    }
    nested = {"child_modules": [{"child_modules": [{"resources": [resource]}]}]}
    return {"format_version": "1.0", "values": {"root_module": nested}}


def shown(found: Json) -> dict[str, Any]:
    """The policy of one document, as --json has it."""
    whole = json.loads(effective_policy.as_json(policy_documents.deployments(state(found))))
    return dict(whole["module.response"]["types"])


def said(before: Json | None, after: Json | None, **more: Any) -> list[str]:
    """The comment about one deployment, without its heading and the last line."""
    lines = effective_policy.as_markdown(plan(of_machine(before, after, **more)))
    assert "\n".join(lines).startswith(HEAD)
    assert lines[-2:] == ["", "0 resources are destroyed or replaced."]
    return lines[2:-2]


# -- the whole -------------------------------------------------------------------------------------


def test_every_type_of_the_catalogue_is_there_with_its_playbook() -> None:
    types = shown(document())
    assert set(types) == set(finding_types())
    for kind, entry in types.items():
        assert (entry["mode"], entry["key"], entry["accounts"]) == ("notify", None, {})
        if finding_types()[kind]["resource_type"]:
            assert entry["playbook"] == playbook_of(kind), kind


def test_an_exact_key_and_an_account_win() -> None:
    types = shown(
        document(
            remediations={"CryptoCurrency:*": "auto", MINER: "approve"},
            account_remediations={ACCOUNT: {"*:EC2/*": "off"}, OTHER: {THIEF: "auto"}},
        )
    )
    assert types[MINER] == {
        "mode": "approve",
        "asked": "approve",
        "key": MINER,
        "below": [],
        "playbook": "ec2_instance",
        "accounts": {ACCOUNT: {"mode": "off", "asked": "off", "key": "*:EC2/*", "below": []}},
    }
    assert types["CryptoCurrency:EC2/BitcoinTool.B"]["mode"] == "auto"
    assert types[THIEF]["mode"] == "notify"
    assert types[THIEF]["accounts"][OTHER]["mode"] == "auto"


def test_severities_make_steps() -> None:
    entry = shown(
        document(
            remediations={MINER: "auto", THIEF: "notify"},
            minimum_severity={"auto": 7, "approve": 4, "notify": 2},
        )
    )
    assert entry[MINER]["below"] == [
        {"severity": 7, "mode": "approve"},
        {"severity": 4, "mode": "dry_run"},
    ]
    assert entry[THIEF]["below"] == [{"severity": 2, "mode": "off"}]


def test_nothing_acts_in_the_management_account() -> None:
    guardrails = {"management_account_id": ACCOUNT}
    types = shown(document(remediations={MINER: "auto"}, guardrails=guardrails))
    held = {"mode": "notify", "asked": "auto", "key": MINER, "below": []}
    assert types[MINER]["accounts"] == {ACCOUNT: held}
    assert types[THIEF]["accounts"] == {}


def test_what_no_playbook_answers_is_only_notified() -> None:
    kind = next(kind for kind in finding_types() if kind.startswith("Impact:S3/"))
    entry = shown(document(remediations={kind: "auto"}))[kind]
    assert (entry["mode"], entry["asked"], entry["playbook"]) == ("notify", "auto", None)
    [line] = said(document(), document(remediations={kind: "auto"}))
    assert line == f"- `{kind}`: notify → **notify (auto was asked for) by `{kind}`**"


def test_types_that_the_catalogue_lacks_are_there() -> None:
    extra = ["Backdoor:EC2/NewThing", "Persistence:Nobody/KnowsThis"]
    types = shown(document(remediations={"*:EC2/*": "auto"}, extra_finding_types=extra))
    assert types[extra[0]]["mode"] == "auto"
    assert [types[kind]["playbook"] for kind in extra] == ["ec2_instance", "iam_principal"]
    named = shown(document(account_remediations={ACCOUNT: {"A:EC2/Named": "off"}}))
    assert named["A:EC2/Named"]["accounts"][ACCOUNT]["mode"] == "off"


def test_the_table_has_a_line_for_each_type_and_the_limits() -> None:
    found = document(
        remediations={MINER: "auto"},
        account_remediations={name: {MINER: "off"} for name in (ACCOUNT, OTHER, THIRD, FOURTH)},
        minimum_severity={"auto": 7},
        guardrails={"exempt_accounts": [THIRD]},
    )
    text = effective_policy.as_tables(policy_documents.deployments(state(found)))
    [line] = [line for line in text.splitlines() if line.startswith(f"{MINER} ")]
    assert line.split(maxsplit=2)[1:] == [
        "ec2_instance",
        f"auto, approve below severity 7 by {MINER}; off in {ACCOUNT}, {OTHER}, {THIRD} and"
        f" {FOURTH}",
    ]
    types, _, limits = text.partition("\n\n")
    assert len(types.splitlines()) == len(finding_types())
    assert limits == (
        f'What limits all of it:\nminimum_severity: {{"auto": 7}}\nexempt_accounts: ["{THIRD}"]'
    )


# -- what changes ----------------------------------------------------------------------------------


def test_only_what_changes_is_said() -> None:
    before = document(remediations={MINER: "dry_run", THIEF: "notify"})
    after = document(remediations={MINER: "auto", THIEF: "notify"})
    assert said(before, after) == [f"- `{MINER}`: dry_run by `{MINER}` → **auto by `{MINER}`**"]


def test_nothing_changes() -> None:
    same = document(remediations={"*": "auto"})
    assert said(same, same) == ["Nothing changes for any finding type."]


def test_many_types_are_one_line_and_are_listed_below() -> None:
    lines = said(document(), document(remediations={"*:EC2/*": "auto"}))
    groups = [line for line in lines if "→" in line]
    assert [line.partition(" → ")[2] for line in groups] == [
        "**notify (auto was asked for) by `*:EC2/*`**",  # no playbook answers these
        "**auto by `*:EC2/*`**",
    ]
    listed = [line.split("`")[1] for line in lines if line.startswith("- `") and "→" not in line]
    matching = {kind for kind in finding_types() if ":EC2/" in kind}
    assert MINER in listed and set(listed) == matching
    more = sum(int(line.split(" and ")[1].split()[0]) for line in groups)
    assert more + len(groups) == len(listed)


def test_a_comment_is_never_too_long() -> None:
    extra = [f"CryptoCurrency:EC2/{'Long' * 30}{number}" for number in range(900)]
    before = document(extra_finding_types=extra)
    lines = said(before, {**before, "remediations": {"CryptoCurrency:*": "auto"}})
    assert len("\n".join(lines)) < 65_536
    assert "There are too many types for a comment" in "\n".join(lines)


def test_accounts_with_equal_decisions_are_together() -> None:
    accounts = {name: {MINER: "approve"} for name in (ACCOUNT, OTHER)}
    after = document(
        remediations={MINER: "auto"},
        account_remediations={**accounts, THIRD: {MINER: "off"}},
    )
    [line] = said(document(), after)
    assert line.endswith(f"; approve in {ACCOUNT} and {OTHER}; off in {THIRD}**")
    many = {str(number): {MINER: "off"} for number in range(100000000000, 100000000040)}
    [line] = said(document(), document(remediations={MINER: "auto"}, account_remediations=many))
    assert "off in 40 accounts (100000000000, 100000000001, 100000000002 …)**" in line


def test_another_severity_and_guardrail_are_changes() -> None:
    before = document(remediations={MINER: "auto"}, guardrails={"exempt_accounts": [ACCOUNT]})
    after = document(
        remediations={MINER: "auto"},
        minimum_severity={"auto": 7},
        paused=True,
    )
    lines = said(before, after)
    assert f"**auto, approve below severity 7 by `{MINER}`**" in lines[0]
    assert f'- `exempt_accounts`: `["{ACCOUNT}"]` → **`[]`**' in lines
    assert "- `paused`: `false` → **`true`**" in lines


def test_a_new_deployment_is_compared_with_nothing() -> None:
    lines = said(None, document(remediations={MINER: "auto"}))
    assert lines == ["The response is new here.", f"- `{MINER}`: notify → **auto by `{MINER}`**"]


def test_removal_and_unknown_switches_are_said() -> None:
    assert "The response is removed" in said(document(), None)[0]
    unknown = of_machine(
        document(),
        None,
        after_unknown={"triggers_replace": True},
    )
    assert "known after the apply" in "\n".join(effective_policy.as_markdown(plan(unknown)))


def test_the_first_release_kept_the_document_in_the_table() -> None:
    item = {"document": {"S": json.dumps(document(remediations={MINER: "dry_run"}))}}
    old = {
        "address": OLD_ADDRESS,
        "name": "config",
        "change": {"actions": ["no-op"], "before": {"item": json.dumps(item)}, "after": None},
    }
    new = of_machine(None, document(remediations={MINER: "auto"}))
    lines = effective_policy.as_markdown(plan(new, old))
    assert f"- `{MINER}`: dry_run by `{MINER}` → **auto by `{MINER}`**" in lines


def test_another_plan_or_state_can_be_compared_with() -> None:
    earlier = state(document(remediations={MINER: "off"}))
    later = state(document(remediations={MINER: "auto"}))
    lines = effective_policy.as_markdown(later, earlier)
    assert f"- `{MINER}`: off by `{MINER}` → **auto by `{MINER}`**" in lines
    assert not any("destroyed" in line for line in lines), "a state destroys nothing"


def test_what_is_destroyed_is_counted() -> None:
    gone = {"address": "x", "name": "x", "change": {"actions": ["delete", "create"]}}
    lines = effective_policy.as_markdown(plan(gone))
    assert lines[2:] == [
        "This plan has no deployment of the response.",
        "",
        "1 resource is destroyed or replaced.",
    ]


# -- as a command ----------------------------------------------------------------------------------


def _run(folder: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """As a pipeline does it: no packages, another directory, nothing in the environment."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "cli" / "effective_policy.py"), *arguments],
        cwd=folder,
        env={},
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_it_runs_without_any_package(tmp_path: Path) -> None:
    given = json.dumps(state(document(remediations={MINER: "auto"})))
    table = _run(tmp_path, given=given)
    assert (table.returncode, table.stderr) == (0, "")
    assert f"auto by {MINER}" in table.stdout
    whole = json.loads(_run(tmp_path, "--json", "-", given=given).stdout)
    assert whole["module.response"]["types"][MINER]["mode"] == "auto"
    (tmp_path / "earlier.json").write_text(json.dumps(state(document())))
    compared = _run(
        tmp_path,
        "--against",
        "earlier.json",
        given=given,
    )
    assert f"notify → **auto by `{MINER}`**" in compared.stdout


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("no JSON", "is no plan and no state of Terraform as JSON: write one with"),
        ("[]", "is no plan and no state"),
        (
            json.dumps(
                plan(
                    of_machine(
                        None,
                        {},
                        after_unknown={"triggers_replace": True},
                    )
                )
            ),
            "the switches of module.response depend on what is created first",
        ),
    ],
)
def test_what_it_cannot_read_is_an_error(tmp_path: Path, given: str, sentence: str) -> None:
    done = _run(tmp_path, given=given)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and sentence in done.stderr
    missing = _run(tmp_path, "gone.json")
    assert missing.returncode == 2 and "gone.json" in missing.stderr
