"""Compares the catalogue with botocore's model of GuardDuty and with AWS's documentation.

``make finding-types`` fetches the two pages of finding types; says what is new, retired, renamed or
not listed any more, and fails if there is anything. Of the module itself, ``--active FILE`` and
``--retired FILE`` read saved pages instead (the Markdown form), ``--model FILE`` another botocore's
``service-2.json``; the pinned one may be older than the catalogue. Nothing of the pages is kept.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import urllib.request
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, NamedTuple

import botocore.loaders

from tests.support.catalogue import features, finding_types

PAGES = "https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-{}.md"
TYPE = r"[A-Za-z0-9]+:[A-Za-z0-9]+/[A-Za-z0-9.&!_-]+"
# A type was renamed if the old and the new name are as similar as that, and so are their resources.
SIMILAR = 0.75
LACKS = "not in the model: "
# What a finding's ``resource`` holds, and the resource types that it describes. A member that is
# not here is new.
MEMBERS = {
    "AccessKeyDetails": {"AccessKey"},
    "ContainerDetails": {"Container"},
    "EbsSnapshotDetails": {"EBSSnapshot"},
    "Ec2ImageDetails": {"EC2Image"},
    "EcsClusterDetails": {"ECSCluster"},
    "EksClusterDetails": {"EKSCluster"},
    "InstanceDetails": {"Instance"},
    "LambdaDetails": {"Lambda"},
    "RdsDbInstanceDetails": {"RDSDBInstance"},
    "RdsLimitlessDbDetails": {"RDSLimitlessDB"},
    "RecoveryPointDetails": {"RecoveryPoint"},
    "S3BucketDetails": {"S3Bucket", "S3Object"},
    # These stand beside another one, and are no resource by themselves.
    "BedrockGuardrailDetails": set(),
    "EbsVolumeDetails": set(),
    "KubernetesDetails": set(),
    "ModelDetails": set(),
    "RdsDbUserDetails": set(),
    "ResourceType": set(),
}
Model = dict[str, Any]


class Pages(NamedTuple):
    """The finding types that AWS documents."""

    active: set[str]
    retired: set[str]


def types_of(page: str) -> set[str]:
    """Returns the finding types that begin a row of a table, or are a heading, of a page in
    Markdown.
    """
    plain = re.sub(r"\\([^A-Za-z0-9\s])", r"\1", page).replace("&amp;", "&")
    rows = re.findall(
        rf"^\|\s*\[?`?({TYPE})",
        plain,
        flags=re.MULTILINE,
    )
    headings = re.findall(
        rf"^#+\s*`?({TYPE})`?\s*$",
        plain,
        flags=re.MULTILINE,
    )
    return {*rows, *headings}


def of_model(model: Model) -> Iterator[str]:
    """Yields a sentence for each feature and resource that the catalogue and a botocore model do
    not both have.
    """
    shapes = model["shapes"]
    offered = set(shapes["DetectorFeature"]["enum"])
    settings = set(shapes["FeatureAdditionalConfiguration"]["enum"])
    plans = {name for name in features() if "/" not in name}
    parts = {name.split("/")[1] for name in features() if "/" in name}
    for name in sorted(offered - plans):
        yield f"new: the feature {name}, of which catalogue/features.json knows nothing"
    for name in sorted(settings - parts):
        yield f"new: the configuration {name}, of which catalogue/features.json knows nothing"
    for name in sorted((plans - offered) | (parts - settings)):
        yield f"{LACKS}{name}; it was removed, or this botocore is older than it"
    members = set(shapes["Resource"]["members"])
    for name in sorted(members - MEMBERS.keys()):
        yield f"new: a finding's resource may hold {name}, which no manifest can have named yet"
    for name in sorted(MEMBERS.keys() - members):
        yield f"{LACKS}a finding's resource holds {name} no longer"


def of_pages(pages: Pages) -> Iterator[str]:
    """Yields a sentence for each finding type of which the catalogue and AWS's pages differ."""
    ours = {kind: entry["status"] for kind, entry in finding_types().items()}
    active = {kind for kind, status in ours.items() if status == "active"}
    retired = ours.keys() - active
    new = pages.active - active
    gone = active - pages.active
    for old, successor in sorted(renamed(gone, new - retired).items()):
        yield f"renamed: {old} is listed no longer, and {successor} is new"
        gone -= {old}
        new -= {successor}
    for kind in sorted(new):
        yield f"new: {kind}" + (", which the catalogue has as retired" if kind in retired else "")
    for kind in sorted(gone):
        yield f"retired: {kind}" if kind in pages.retired else f"listed no longer: {kind}"
    for kind in sorted(pages.retired - ours.keys()):
        yield f"retired, and never in the catalogue: {kind}"


def renamed(gone: set[str], new: set[str]) -> dict[str, str]:
    """Returns the types that are gone and what each probably became."""
    found: dict[str, str] = {}
    for old in sorted(gone):
        near = [
            (SequenceMatcher(None, old, other).ratio(), other)
            for other in new - set(found.values())
            if _resource(old) == _resource(other)
        ]
        if near and max(near)[0] >= SIMILAR:
            found[old] = max(near)[1]
    return found


def _resource(kind: str) -> str:
    return kind.partition(":")[2].partition("/")[0]


def read_model(path: Path | None) -> Model:
    """Returns a botocore model: that of a file, or of the installed botocore."""
    if path is None:
        installed: Model = botocore.loaders.Loader().load_service_model("guardduty", "service-2")
        return installed
    content = path.read_bytes()
    found: Model = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
    return found


def _page(name: str, saved: Path | None) -> set[str]:
    """Returns the types of a page. Raises ValueError where it has none: then its form changed."""
    if saved is None:
        where = PAGES.format(name)
        with urllib.request.urlopen(where, timeout=30) as answer:
            text = answer.read().decode()
    else:
        where, text = str(saved), saved.read_text()
    found = types_of(text)
    if not found:
        raise ValueError(f"{where} has no table of finding types: has its form changed?")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--active",
        type=Path,
        help="a saved page of the active finding types",
    )
    parser.add_argument(
        "--retired",
        type=Path,
        help="a saved page of the retired finding types",
    )
    parser.add_argument(
        "--model",
        type=Path,
        help="another botocore's guardduty service-2.json",
    )
    parser.add_argument(
        "--no-pages",
        action="store_true",
        help="compare with the model alone",
    )
    parser.add_argument(
        "--may-be-older",
        action="store_true",
        help="do not say what the model lacks: the catalogue may be newer",
    )
    given = parser.parse_args(arguments)
    try:
        sentences = [
            sentence
            for sentence in of_model(read_model(given.model))
            if not (given.may_be_older and sentence.startswith(LACKS))
        ]
        if not given.no_pages:
            pages = Pages(_page("active", given.active), _page("retired", given.retired))
            sentences += of_pages(pages)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(sentences) or "The catalogue has what AWS has.")
    return 1 if sentences else 0


if __name__ == "__main__":
    raise SystemExit(main())
