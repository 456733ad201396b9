"""Cold start and memory of the playbook functions, against a bare boto3 script that makes the
same clients.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from .measure import ROOT, Figure, paired, unpack

ZIP = ROOT / "lambda_src" / "dist" / "playbook_ec2_instance.zip"
# Playbook -> the service that it changes, and the most that its cold start and its memory may be of
# bare boto3's, which needs less without EC2's model
PLAYBOOKS = {"ec2_instance": ("ec2", 0.70, 0.62), "iam_principal": ("iam", 0.75, 0.80)}
OURS = """
import guardduty_response.functions.respond
from guardduty_response.functions import contain_step, plan_step
from guardduty_response.aws import clients
from guardduty_response.containment.contract import load
load("{playbook}")
for name in ("sts", "dynamodb", "{service}"):
    clients.client(name)
"""
BARE = """
import boto3
for name in ("sts", "dynamodb", "{service}"):
    boto3.client(name)
"""


def cold(runs: int) -> list[Figure]:
    """Measure each playbook's unpacked zip as Lambda runs it: our code has the bytecode that the
    zip has, botocore and boto3 keep what pip compiled.
    """
    figures = []
    for playbook, (service, seconds, megabytes) in PLAYBOOKS.items():
        ours, bare = (script.format(playbook=playbook, service=service) for script in (OURS, BARE))
        with tempfile.TemporaryDirectory() as folder:
            unpack(ZIP.with_name(f"playbook_{playbook}.zip"), Path(folder))
            ratio = paired(ours, bare, runs=runs, first_paths=[Path(folder)], second_paths=[])
        note = (
            f"zip of {playbook} / bare boto3, import and clients sts, dynamodb, {service}; best of"
            f" {runs} in turns"
        )
        figures += [
            Figure("cold import and clients", ratio["seconds"], "×", seconds, note),
            Figure("peak memory", ratio["megabytes"], "×", megabytes, note),
        ]
    return figures


def zips() -> list[Figure]:
    """Report the size of each zip; it has no limit, the cold start has."""
    return [
        Figure(path.name, path.stat().st_size / 1000, "KB", note="committed zip")
        for path in sorted(ZIP.parent.glob("*.zip"))
    ]
