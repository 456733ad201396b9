"""Walks through the incident machine with functions that answer what a test wants."""

from __future__ import annotations

from typing import Any

from guardduty_response.decision import finding

from tests.support.asl_walker import Json, Walk


class Functions:
    """Answers by verb: a value, a list of values one by one, or an error to raise. Unnamed verbs
    answer {}.
    """

    def __init__(self, **answers: Any) -> None:
        target = {"kind": "ec2_instance", "id": "i-1", "arn": "arn:i-1", "attach": ""}
        verified = {"done": True, "wait_seconds": 0, "again": "", "status": None, "detail": ""}
        self.answers: Json = {
            "open": {
                "incident_id": "inc-1",
                "playbook": "ec2_instance",
                "next": "triage",
                "verify_only": False,
            },
            "plan": {
                "decision": "act",
                "error": "",
                "targets": [target],
                "collect_first_seconds": 0,
            },
            "contain": {**verified, "status": "CONTAINED"},
            "verify": {**verified, "status": "CONTAINED"},
            "decide": {"next": "triage", "decision": "approve"},
            "evidence": verified,
            "first": verified,
            "collect": phase_answer(),
            "finish": phase_answer(),
            "terminate": phase_answer(),
            "remediate": phase_answer(),
            "close": {"status": "CONTAINED"},
            **answers,
        }
        self.calls: list[tuple[str, Json]] = []
        self.claims: list[Json] = []

    def __call__(self, function: str, payload: Json) -> Any:
        if function.startswith("dynamodb:"):
            self.claims.append(payload)
            answer = self.answers.get(function, {})
            if isinstance(answer, Exception):
                raise answer
            return answer
        step_name = payload["verb"]
        if step_name == "warm" and "warm" not in self.answers:
            return {}
        self.calls.append((step_name, payload))
        assert function == FUNCTIONS.get(step_name, "incident")
        answer = self.answers.get(step_name, {})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def asked(self, step_name: str) -> list[Json]:
        return [payload for name, payload in self.calls if name == step_name]


FUNCTIONS = {
    **dict.fromkeys(("warm", "plan", "contain", "verify", "finish"), "playbook"),
    "terminate": "terminator",
    "start": "states",
    **dict.fromkeys(("first", "evidence", "collect"), "collector"),
    "remediate": "remediator",
}


def phase_answer(**more: Any) -> Json:
    return {"done": True, "wait_seconds": 0, "next": "close", **more}


FINDING: Json = {
    "source": "aws.guardduty",
    "detail-type": "GuardDuty Finding",
    "detail": {
        "secret": "s3cret",
        "accountId": "222222222222",
        "region": "us-east-1",
        "id": "f-1",
        "resource": {"resourceType": "Instance"},
        "service": {"eventLastSeen": "2031-02-03T04:05:06Z"},
    },
}
INCIDENT_ID = finding.incident_id("222222222222/us-east-1/f-1")


def walk_incident(
    token: Any = None, event: Any = FINDING, **answers: Any
) -> tuple[Walk, Functions]:
    functions = Functions(**answers)
    walk = Walk("incident", functions, token=token)
    walk.run(event)
    return walk, functions


def step(**more: Any) -> Json:
    return {"done": True, "wait_seconds": 0, "again": "", "status": None, "detail": "", **more}
