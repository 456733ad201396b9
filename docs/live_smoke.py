"""Checks a real deployment: ``python docs/live_smoke.py --help``. Needs credentials of the security
account.

Without ``--contain`` it asks GuardDuty for a sample finding and waits for the incident to end as
DRY_RUN: nothing is changed. With ``--contain INSTANCE`` it starts the incident machine for an
instance YOU ARE READY TO LOSE and waits for the verdict; its finding type must be set to ``auto``
for the instance's account. With ``--held FILE`` beside it, a session of another role must be dead
then: run ``aws sts assume-role --role-arn ROLE --role-session-name smoke > FILE`` on the instance,
with its own credentials and 20 minutes before (CloudTrail tells of it late), and take the file
here. With ``--evidence`` it waits for the evidence that only AWS can show: replicas in the
forensics account, what AWS Config recorded, and sessions of other roles.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

ENDED = {
    "FAILED",
    "PARTIAL",
    "SKIPPED",
    "BREACHED",
    "TIMED_OUT",
    "GONE",
    "NOTIFIED",
    "DRY_RUN",
}
REFUSED = {"AccessDenied", "UnauthorizedOperation"}  # one that has expired is no proof
EVIDENCE = ("replication", "config_history", "held_sessions")
TYPE = "CryptoCurrency:EC2/BitcoinTool.B!DNS"


def _event(account: str, region: str, instance: str) -> dict[str, Any]:
    detail = {
        "schemaVersion": "2.0",
        "accountId": account,
        "region": region,
        "partition": "aws",
        "id": uuid.uuid4().hex,
        "type": TYPE,
        "severity": 8,
        "title": "Live smoke test",
        "description": "Started by docs/live_smoke.py",
        "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": instance}},
        "service": {
            "serviceName": "guardduty",
            "archived": False,
            "count": 1,
            "resourceRole": "TARGET",
            "action": {
                "actionType": "DNS_REQUEST",
                "dnsRequestAction": {"domain": "pool.example.com"},
            },
        },
    }
    return {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "account": account,
        "region": region,
        "detail": detail,
    }


def _incident_id(account: str, region: str, finding: str) -> str:
    return "inc-" + hashlib.sha256(f"{account}/{region}/{finding}".encode()).hexdigest()[:16]


def _wait(table: str, incident_id: str, expected: set[str], seconds: int) -> bool:
    """Wait for one of the expected statuses; False when the incident ends with another."""
    rows = boto3.resource("dynamodb").Table(table)
    end = time.time() + seconds
    seen = ""
    while time.time() < end:
        item = rows.get_item(Key={"pk": f"INCIDENT#{incident_id}", "sk": "META"}).get("Item", {})
        status = str(item.get("status", "not recorded yet"))
        if status != seen:
            print(f"{incident_id}: {status}")
            seen = status
        if status in expected:
            return True
        if status in ENDED:
            print(f"ended {status}: {item.get('reasons')}", file=sys.stderr)
            return False
        time.sleep(2)
    print(
        f"no verdict after {seconds} s: look at the execution history and the dead-letter queue",
        file=sys.stderr,
    )
    return False


def _sample(arguments: argparse.Namespace) -> bool:
    guardduty = boto3.client("guardduty")
    guardduty.create_sample_findings(DetectorId=arguments.detector_id, FindingTypes=[TYPE])
    criteria = {
        "Criterion": {
            "type": {"Equals": [TYPE]},
            "service.additionalInfo.sample": {"Equals": ["true"]},
        }
    }
    ids: list[str] = []
    while not ids:
        time.sleep(5)
        ids = guardduty.list_findings(DetectorId=arguments.detector_id, FindingCriteria=criteria)[
            "FindingIds"
        ]
    [found] = guardduty.get_findings(DetectorId=arguments.detector_id, FindingIds=ids[:1])[
        "Findings"
    ]
    print("a sample finding reaches EventBridge within about five minutes")
    return _wait(
        arguments.table,
        _incident_id(found["AccountId"], found["Region"], found["Id"]),
        {"DRY_RUN"},
        900,
    )


def _works(file: str, region: str) -> bool:
    """Tells whether AWS lets a call with the credentials of ``aws sts assume-role`` through."""
    held = json.loads(Path(file).read_text())["Credentials"]
    ec2 = boto3.client(
        "ec2",
        region_name=region,
        aws_access_key_id=held["AccessKeyId"],
        aws_secret_access_key=held["SecretAccessKey"],
        aws_session_token=held["SessionToken"],
    )
    try:
        ec2.describe_regions()
    except ClientError as error:
        if error.response["Error"]["Code"] not in REFUSED:
            raise
        return False
    return True


def _session_is_dead(arguments: argparse.Namespace) -> bool:
    for _ in range(30):  # IAM needs some seconds until a denial counts everywhere
        if not _works(arguments.held, arguments.region):
            print("the session of the other role can do nothing any more")
            return True
        time.sleep(2)
    print("the session of the other role works still", file=sys.stderr)
    return False


def _evidence(arguments: argparse.Namespace, seconds: int) -> bool:
    """Wait for the items of EVIDENCE to end, and print what each came to; False when one is
    missing, failed or is not complete.
    """
    rows = boto3.resource("dynamodb").Table(arguments.table)
    named = boto3.session.Session().get_partition_for_region(arguments.region)
    arn = f"arn:{named}:ec2:{arguments.region}:{arguments.account}:instance/{arguments.contain}"
    partition = Key("pk").eq(f"CONTAINMENT#{arn}")
    end = time.time() + seconds
    while True:
        found = {
            item["sk"].rpartition("#")[2]: item["value"].get("inline", {})
            for item in rows.query(KeyConditionExpression=partition, ConsistentRead=True)["Items"]
            if "#EVIDENCE#" in item["sk"]
        }
        outcomes = {name: str(item.get("outcome")) for name, item in found.items()}
        ended = {name for name, outcome in outcomes.items() if outcome != "RUNNING"}
        if set(EVIDENCE) <= ended or time.time() > end:
            break
        time.sleep(10)
    for name in EVIDENCE:
        item = found.get(name, {})
        print(f"{name}: {item.get('outcome', 'not there')} {item.get('detail', '')}")
    # SKIPPED and NOT_POSSIBLE say why: whether that is so, the person who reads it knows.
    as_it_should_be = {"COMPLETE", "SKIPPED", "NOT_POSSIBLE"}
    wrong = [name for name in EVIDENCE if outcomes.get(name) not in as_it_should_be]
    if wrong:
        print(f"not as expected: {', '.join(wrong)}", file=sys.stderr)
    return not wrong


def _contain(arguments: argparse.Namespace) -> bool:
    if arguments.held and not _works(arguments.held, arguments.region):
        print("the session of --held is refused already: get a new one", file=sys.stderr)
        return False
    event = _event(arguments.account, arguments.region, arguments.contain)
    boto3.client("stepfunctions").start_execution(
        stateMachineArn=arguments.machine_arn, input=json.dumps(event)
    )
    incident_id = _incident_id(arguments.account, arguments.region, event["detail"]["id"])
    as_expected = _wait(arguments.table, incident_id, {"CONTAINED"}, 300)
    if arguments.held:
        as_expected = _session_is_dead(arguments) and as_expected
    if arguments.evidence:
        as_expected = _evidence(arguments, 1800) and as_expected
    return as_expected


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", required=True, help="output table_name")
    parser.add_argument("--detector-id", help="output detector_id (sample finding)")
    parser.add_argument("--contain", metavar="INSTANCE", help="an instance you are ready to lose")
    parser.add_argument("--machine-arn", help="output incident_state_machine_arn (with --contain)")
    parser.add_argument("--account", help="the instance's account (with --contain)")
    parser.add_argument("--region", help="the instance's Region (with --contain)")
    parser.add_argument("--held", metavar="FILE", help="a session that must be dead afterwards")
    parser.add_argument("--evidence", action="store_true", help="wait for the evidence, too")
    arguments = parser.parse_args()
    if arguments.contain and not (arguments.machine_arn and arguments.account and arguments.region):
        parser.error("--contain needs --machine-arn, --account and --region")
    if (arguments.held or arguments.evidence) and not arguments.contain:
        parser.error("--held and --evidence are about an instance: give --contain")
    if not arguments.contain and not arguments.detector_id:
        parser.error(
            "give --detector-id for a sample finding, or --contain for a sacrificial instance"
        )
    as_expected = _contain(arguments) if arguments.contain else _sample(arguments)
    print("as expected" if as_expected else "NOT as expected")
    return 0 if as_expected else 1


if __name__ == "__main__":
    raise SystemExit(main())
