"""The catalogue says of every finding type what a reader needs, and the comparison with AWS tells
what it lacks. The pages here are synthetic.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support import finding_types_document, finding_types_upstream
from tests.support.catalogue import features, finding_types, manifests, playbook_of
from tests.support.repository import ROOT

ACTIVE = {kind: entry for kind, entry in finding_types().items() if entry["status"] == "active"}
RETIRED = finding_types().keys() - ACTIVE.keys()
MODES = ["notify", "dry_run", "approve", "auto"]
TORN = "Trojan:EC2/DropPoint"
TWIN = "Trojan:EC2/DropPoint.Custom"


def page(types: set[str]) -> str:
    """A page as AWS writes one in Markdown: links, escapes, a table."""
    escaped = [kind.replace("!", "\\!").replace("&", "&amp;") for kind in sorted(types)]
    rows = [f"| [{kind}](page.md#x) | Amazon EC2 | a | b |" for kind in escaped]
    return "\n".join(["# Finding types", "", "| Type | Resource |", "| --- | --- |", *rows])


def headings(types: set[str]) -> str:
    return "# Retired\n\n" + "\n\ntext\n\n".join(f"## {kind}" for kind in sorted(types))


def compared(tmp_path: Path, active: set[str], retired: set[str], *more: str) -> int:
    (tmp_path / "active.md").write_text(page(active))
    (tmp_path / "retired.md").write_text(headings(retired))
    files = [f"--active={tmp_path}/active.md", f"--retired={tmp_path}/retired.md"]
    return finding_types_upstream.main([*files, f"--model={model(tmp_path)}", *more])


def model(tmp_path: Path, **more: list[str]) -> Path:
    """A botocore model that has what the catalogue has, and more."""
    names = features()
    shapes: dict[str, Any] = {
        "DetectorFeature": {"enum": [name for name in names if "/" not in name]},
        "FeatureAdditionalConfiguration": {
            "enum": sorted({name.split("/")[1] for name in names if "/" in name})
        },
        "Resource": {"members": dict.fromkeys(finding_types_upstream.MEMBERS)},
    }
    for name in more.get("features", []):
        shapes["DetectorFeature"]["enum"].append(name)
    for name in more.get("resources", []):
        shapes["Resource"]["members"][name] = None
    path = tmp_path / "service-2.json"
    path.write_text(json.dumps({"shapes": shapes}))
    return path


# -- what is said of each type ---------------------------------------------------------------------


def test_every_active_type_has_its_source_plan_mode_and_reason() -> None:
    lacking = {
        kind: sorted({"source", "plan", "mode", "why"} - entry.keys())
        for kind, entry in ACTIVE.items()
    }
    assert not {kind: names for kind, names in lacking.items() if names}
    assert {entry["mode"] for entry in ACTIVE.values()} <= set(MODES)


def test_the_reason_is_one_sentence() -> None:
    for kind, entry in ACTIVE.items():
        why = entry["why"]
        assert why[0].isupper() and why.endswith(".") and ". " not in why and len(why) > 30, kind


def test_the_plan_is_that_of_the_feature() -> None:
    plans = {feature["plan"] for feature in features().values()}
    for kind, entry in ACTIVE.items():
        if "feature" in entry:
            assert entry["plan"] == features()[entry["feature"]]["plan"], kind
        else:
            assert entry["plan"] not in plans, kind


def test_the_recommended_mode_is_one_that_can_act() -> None:
    for kind, entry in ACTIVE.items():
        playbook = playbook_of(kind)
        supported = manifests()[playbook]["modes"] if playbook else []
        assert entry["mode"] in ["notify", *supported], kind


def test_the_module_has_a_status_for_each_feature() -> None:
    """What provider 5 refuses is as GuardDuty has it, until somebody names it."""
    text = (ROOT / "modules" / "detector" / "main.tf").read_text()
    block = text.partition("default_features = {")[2].partition("\n  }")[0]
    defaults = dict(
        re.findall(
            r'^\s+"([A-Z_/0-9]+)"\s+= "([A-Z]+)"',
            block,
            flags=re.MULTILINE,
        )
    )
    assert defaults.keys() == features().keys()
    refused = {name for name, feature in features().items() if not feature["terraform"]}
    assert {defaults[name] for name in refused} == {"UNMANAGED"}


def test_retired_types_recommend_nothing() -> None:
    assert RETIRED
    assert not any({"mode", "why"} & finding_types()[kind].keys() for kind in RETIRED)


def test_the_document_is_what_the_catalogue_gives() -> None:
    assert finding_types_document.DOCUMENT.read_text() == finding_types_document.render(), (
        "run 'python -m tests.support.finding_types_document'"
    )


# -- compared with AWS -----------------------------------------------------------------------------


def test_the_installed_botocore_has_nothing_new() -> None:
    found = list(finding_types_upstream.of_model(finding_types_upstream.read_model(None)))
    assert not [sentence for sentence in found if sentence.startswith("new")]


def test_pages_with_the_same_types_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared(tmp_path, set(ACTIVE), set(RETIRED)) == 0
    assert capsys.readouterr().out == "The catalogue has what AWS has.\n"


def test_what_is_new_retired_renamed_or_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = "Backdoor:Lambda/C&CActivity.B"
    left_out = "Trojan:Lambda/DropPoint"
    active = ACTIVE.keys() - {TORN, old, left_out} | {TWIN, "Impact:Quantum/Decoherence"}
    assert (
        compared(
            tmp_path,
            active,
            {*RETIRED, old, "Recon:EC2/OldThing"},
        )
        == 1
    )
    assert capsys.readouterr().out.splitlines() == [
        f"renamed: {TORN} is listed no longer, and {TWIN} is new",
        "new: Impact:Quantum/Decoherence",
        f"retired: {old}",
        f"listed no longer: {left_out}",
        "retired, and never in the catalogue: Recon:EC2/OldThing",
    ]


def test_a_type_that_came_back_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    back = min(RETIRED)
    assert (
        compared(
            tmp_path,
            {*ACTIVE, back},
            RETIRED - {back},
        )
        == 1
    )
    assert capsys.readouterr().out == f"new: {back}, which the catalogue has as retired\n"


def test_features_and_resources_of_a_newer_model_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = model(
        tmp_path,
        features=["QUANTUM_LOGS"],
        resources=["QubitDetails"],
    )
    assert finding_types_upstream.main(["--no-pages", f"--model={newer}"]) == 1
    said = capsys.readouterr().out
    assert "the feature QUANTUM_LOGS" in said and "may hold QubitDetails" in said


def test_what_an_older_model_lacks_is_said_only_of_the_newest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(model(tmp_path).read_text())
    document["shapes"]["DetectorFeature"]["enum"].remove("AI_PROTECTION")
    older = tmp_path / "older.json"
    older.write_text(json.dumps(document))
    arguments = ["--no-pages", f"--model={older}"]
    assert finding_types_upstream.main(arguments) == 1
    assert "not in the model: AI_PROTECTION" in capsys.readouterr().out
    assert finding_types_upstream.main([*arguments, "--may-be-older"]) == 0
    assert capsys.readouterr().out == "The catalogue has what AWS has.\n"


def test_a_page_of_another_form_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "active.md").write_text("<html>Finding types</html>")
    files = [f"--active={tmp_path}/active.md", f"--retired={tmp_path}/active.md"]
    assert finding_types_upstream.main([*files, f"--model={model(tmp_path)}"]) == 2
    assert "has no table of finding types" in capsys.readouterr().err
