#!/usr/bin/env python3
"""Shows which finding type is answered how, in every account, by a plan or a state of Terraform.

``terraform show -json response.tfplan | python3 cli/effective_policy.py``

It needs Python 3.11 and nothing else, and decides with the code of the functions from the document
that the plan gives them. ``--json`` is for programs; ``--changes`` is Markdown for a pull request.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parent.parent
# This file runs as it is, from a copy of the module.
sys.path[:0] = [str(ROOT), str(ROOT / "lambda_src")]

from guardduty_response.decision import manifests, policy  # noqa: E402 -- needs the line above
from guardduty_response.decision.finding import Finding  # noqa: E402 -- the same
from guardduty_response.errors import ConfigError  # noqa: E402 -- the same

from cli.policy_documents import (  # noqa: E402 -- the same
    Deployment,
    Document,
    Json,
    NotReadable,
    deployments,
    read,
)

EVERYWHERE = ""  # no account id: the account of a finding that no exception names
MOST_SEVERE = 10.0
NAMED = 3  # so many accounts or types with an equal decision are named in a line for reviewers
COMMENT = 60_000  # characters; GitHub takes 65,536 in a comment
# A finding of which only type and resource are known
TEXTS = dict.fromkeys(("id", "account_id", "region", "partition", "title"), "")
NAMELESS: Json = {**TEXTS, "severity": MOST_SEVERE, "sample": False, "archived": False, "count": 1}


class Step(TypedDict):
    """The milder mode of findings below a severity."""

    severity: float
    mode: str


class Decision(TypedDict):
    """What a finding of a type is answered with. ``asked``: the mode of the key, which may have
    become a milder one. ``below``: from strict to mild.
    """

    mode: str
    asked: str
    key: str | None
    below: list[Step]


class Entry(Decision):
    """The same of every account; ``accounts``: of those with a decision of their own."""

    playbook: str | None
    accounts: dict[str, Decision]


Policy = dict[str, Entry]  # by finding type


# -- deciding --------------------------------------------------------------------------------------


@cache
def catalogue() -> Mapping[str, Json]:
    """Returns the finding types that this release knows."""
    found: dict[str, Json] = json.loads((ROOT / "catalogue" / "finding_types.json").read_text())
    return found


def finding_types(*documents: Document | None) -> list[str]:
    """Returns every finding type of the catalogue and of the documents."""
    kinds = set(catalogue())
    for document in filter(None, documents):
        switches = [document.remediations, *document.account_remediations.values()]
        kinds |= {key for keys in switches for key in keys if "*" not in key}
        kinds |= set(document.extra_finding_types)
    return sorted(kinds)


@cache
def playbook_of(kind: str) -> str | None:
    """Returns the playbook of a type, as policy.tf does. What a finding names may decide
    otherwise.
    """
    resources = catalogue().get(kind, {}).get("resource_type", [])
    if resources:
        return _first(kind, tuple(resources))
    for other, entry in sorted(catalogue().items()):
        if entry["resource_type"] and _family(other) == _family(kind):
            found = _first(other, tuple(entry["resource_type"]))
            if found:
                return found
    return _first(kind, ("AccessKey",))  # what a custom detection rule looks at: API calls


def _family(kind: str) -> str:
    return kind.partition(":")[2].partition("/")[0]


@cache
def _first(kind: str, resources: tuple[str, ...]) -> str | None:
    for resource in resources:
        named: Json = {"type": kind, "resource_type": resource, "detail": {"type": kind}}
        finding = Finding(**{**NAMELESS, **named})
        playbook, _ = manifests.playbook_for(finding)
        if playbook:
            return playbook
    return None


def _decide(document: Document, kind: str, account: str) -> tuple[Decision, str]:
    """Returns the decision and where its key is: account, global or default."""
    playbook = playbook_of(kind)
    floors = sorted({0.0, *document.minimum_severity.values()}, reverse=True)
    modes = []
    for severity in (MOST_SEVERE, *floors):
        found = policy.decide(
            document,
            kind,
            account,
            severity,
            playbook,
            "",
        )
        held = account and account == document.limits.get("management_account_id")
        acting = found.mode in policy.ACTING
        modes.append("notify" if held and acting else found.mode)
    below: list[Step] = []
    mode = modes[0]
    for position, milder in enumerate(modes[1:]):
        if milder != mode:
            below.append({"severity": float(floors[position - 1]), "mode": milder})
            mode = milder
    own = found.scope == "account"
    switches = document.account_remediations[account] if own else document.remediations
    asked = switches[found.key] if found.key else modes[0]
    return {"mode": modes[0], "asked": asked, "key": found.key, "below": below}, found.scope


def effective(document: Document, kinds: list[str]) -> Policy:
    """Returns the decision about each finding type, in all accounts."""
    alike = _alike(document)
    found: Policy = {}
    for kind in kinds:
        everywhere, _ = _decide(document, kind, EVERYWHERE)
        own: dict[str, Decision] = {}
        for accounts in alike:
            decision, scope = _decide(document, kind, accounts[0])
            if scope == "account" or decision != everywhere:
                own |= dict.fromkeys(accounts, decision)
        accounts_of_kind = dict(sorted(own.items()))
        found[kind] = {**everywhere, "playbook": playbook_of(kind), "accounts": accounts_of_kind}
    return found


def _alike(document: Document) -> list[list[str]]:
    """Returns the accounts with exceptions, those with the same ones together."""
    management = document.limits.get("management_account_id")
    groups: dict[str, list[str]] = {}
    for account in sorted({*document.account_remediations, *([management] if management else [])}):
        switches = document.account_remediations.get(account, {})
        same = json.dumps([account == management, switches], sort_keys=True)
        groups.setdefault(same, []).append(account)
    return list(groups.values())


# -- showing ---------------------------------------------------------------------------------------


def _text(decision: Decision) -> str:
    milder = (
        f" ({decision['asked']} was asked for)" if decision["asked"] != decision["mode"] else ""
    )
    steps = [f"{step['mode']} below severity {step['severity']:g}" for step in decision["below"]]
    return ", ".join([decision["mode"] + milder, *steps])


def _names(names: list[str], limit: int | None) -> str:
    if limit is not None and len(names) > limit:
        return f"{len(names)} accounts ({', '.join(names[:limit])} …)"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def line(entry: Entry, limit: int | None = None) -> str:
    """Returns what is done about a finding type, accounts with equal decisions together; with a
    limit in Markdown, and at most so many accounts are named.
    """
    key = entry["key"] if limit is None else f"`{entry['key']}`"
    parts = [_text(entry) + (f" by {key}" if entry["key"] else "")]
    groups: dict[str, list[str]] = {}
    for account, decision in entry["accounts"].items():
        if _text(decision) != _text(entry):
            groups.setdefault(_text(decision), []).append(account)
    parts += [f"{text} in {_names(accounts, limit)}" for text, accounts in groups.items()]
    return "; ".join(parts)


def table(document: Document) -> list[str]:
    """Returns a line for each finding type, and what limits them all."""
    entries = effective(document, finding_types(document))
    wide = max(map(len, entries))
    playbooks = max(len(entry["playbook"] or "-") for entry in entries.values())
    limits = [f"{name}: {_value(value)}" for name, value in document.limits.items() if value]
    return [
        *(
            f"{kind:{wide}}  {entry['playbook'] or '-':{playbooks}}  {line(entry)}"
            for kind, entry in entries.items()
        ),
        *(["", "What limits all of it:", *limits] if limits else []),
    ]


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


NOTHING = Document({}, {}, {}, [], {}, [])


def changes(deployment: Deployment) -> list[str]:
    """Returns in Markdown what a plan changes of the policy."""
    before, after = deployment.before, deployment.after
    if deployment.unknown:
        return ["The switches depend on what is created first, so they are known after the apply."]
    if after is None:
        return ["**The response is removed. Nobody is notified of findings any more.**"]
    kinds = finding_types(before, after)
    old, new = effective(before or NOTHING, kinds), effective(after, kinds)
    groups: dict[tuple[str, str], list[str]] = {}
    for kind in kinds:
        pair = line(old[kind], NAMED), line(new[kind], NAMED)
        if line(old[kind]) != line(new[kind]):
            groups.setdefault(pair, []).append(kind)
    lines = [] if before else ["The response is new here."]
    for (was, becomes), changed in groups.items():
        shown = changed if len(changed) <= NAMED else changed[:1]
        more = f" and {len(changed) - 1} more" if len(changed) > NAMED else ""
        lines += [f"- `{kind}`{more}: {was} → **{becomes}**" for kind in shown]
    if not groups:
        lines.append("Nothing changes for any finding type.")
    lines += _changed_limits(before or NOTHING, after)
    if any(len(changed) > NAMED for changed in groups.values()):
        lines += _all_types(groups, COMMENT - len("\n".join(lines)))
    return lines


def _changed_limits(before: Document, after: Document) -> list[str]:
    found = []
    for name in sorted({*before.limits, *after.limits}):
        was, becomes = before.limits.get(name), after.limits.get(name)
        if was != becomes and before is not NOTHING:
            found.append(f"- `{name}`: `{_value(was)}` → **`{_value(becomes)}`**")
    return found


def _all_types(groups: dict[tuple[str, str], list[str]], room: int) -> list[str]:
    rows = [
        f"- `{kind}`: {becomes}" for (_, becomes), kinds in groups.items() for kind in sorted(kinds)
    ]
    if sum(map(len, rows)) > room:
        return ["", "There are too many types for a comment; this command's table has them all."]
    return ["", "<details><summary>Each of these types</summary>", "", *rows, "", "</details>"]


def destroyed(shown: Json) -> str:
    """Returns how many resources a plan destroys."""
    kinds = [entry["change"]["actions"] for entry in shown.get("resource_changes", [])]
    number = sum("delete" in actions for actions in kinds)
    return f"{number} resource{'s are' if number != 1 else ' is'} destroyed or replaced."


def _compared(shown: Json, earlier: Json | None) -> dict[str, Deployment]:
    """Returns the deployments, each with what it is compared with."""
    found = deployments(shown)
    if earlier is None:
        return found
    others = deployments(earlier)
    return {
        name: Deployment(
            others[name].after if name in others else None,
            found[name].after if name in found else None,
            name in found and found[name].unknown,
        )
        for name in sorted({*found, *others})
    }


def as_markdown(shown: Json, earlier: Json | None = None) -> list[str]:
    """Returns the comment for a pull request."""
    found = _compared(shown, earlier)
    lines = ["### What GuardDuty findings are answered with", ""]
    for name, deployment in found.items():
        lines += [f"`{name}`:", ""] if len(found) > 1 else []
        lines += [*changes(deployment), ""]
    if not found:
        lines += ["This plan has no deployment of the response.", ""]
    return [*lines, destroyed(shown)] if "resource_changes" in shown else lines


def as_json(found: dict[str, Deployment]) -> str:
    """Returns the decisions by deployment and finding type, with what limits them."""
    whole = {
        name: {"limits": after.limits, "types": effective(after, finding_types(after))}
        for name, (_, after, _) in found.items()
        if after
    }
    return json.dumps(whole, indent=2, ensure_ascii=False)


def as_tables(found: dict[str, Deployment]) -> str:
    """Returns the table of each deployment."""
    tables = [
        "\n".join([*([f"{name}:"] if len(found) > 1 else []), *table(after)])
        for name, (_, after, _) in found.items()
        if after
    ]
    return "\n\n".join(tables) or "Here is no deployment of the response."


def main(arguments: list[str] | None = None) -> int:
    """Prints what is asked for. Returns 0, or 2 where nothing can be said."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "plan", nargs="?", default="-", help="what terraform show -json printed (-: standard input)"
    )
    parser.add_argument(
        "--against", metavar="FILE", help="compare with another plan or state, not with the plan's"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json",
        action="store_true",
        help="the whole policy as JSON",
    )
    form.add_argument(
        "--changes",
        action="store_true",
        help="what changes, as Markdown",
    )
    given = parser.parse_args(arguments)
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")  # whatever this machine's own encoding is
    try:
        shown, earlier = _read(given.plan), _read(given.against) if given.against else None
        found = deployments(shown)
        if given.changes or earlier:
            print("\n".join(as_markdown(shown, earlier)))
            return 0
        unknown = [name or "the module" for name, kept in found.items() if kept.unknown]
        if unknown:
            raise NotReadable(
                f"the switches of {', '.join(unknown)} depend on what is created first: apply, and"
                " show the state"
            )
        print(as_json(found) if given.json else as_tables(found))
    except (OSError, NotReadable, ConfigError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _read(name: str) -> Json:
    text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    return read(text, "standard input" if name == "-" else name)


if __name__ == "__main__":
    raise SystemExit(main())
