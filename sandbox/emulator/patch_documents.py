"""Where AWS describes what a patch restores, and whether an upstream project could take it."""

from __future__ import annotations

from fnmatch import fnmatchcase

from .patching import Patch

_AWS = "https://docs.aws.amazon.com/"
_EVENTS = _AWS + "eventbridge/latest/userguide/"
_STATES = _AWS + "step-functions/latest/dg/"
_IAM = _AWS + "IAM/latest/UserGuide/"
_LAMBDA = _AWS + "lambda/latest/dg/"

# Places of API references. {} is the call.
_API = {
    "eventbridge": _AWS + "eventbridge/latest/APIReference/API_{}.html",
    "cloudtrail": _AWS + "awscloudtrail/latest/APIReference/API_{}.html",
    "iam": _AWS + "IAM/latest/APIReference/API_{}.html",
    "states": _AWS + "step-functions/latest/apireference/API_{}.html",
    "ec2": _AWS + "AWSEC2/latest/APIReference/API_{}.html",
    "cloudformation": _AWS + "AWSCloudFormation/latest/APIReference/API_{}.html",
    "autoscaling": _AWS + "autoscaling/ec2/APIReference/API_{}.html",
    "ssm": _AWS + "systems-manager/latest/APIReference/API_{}.html",
    "s3": _AWS + "AmazonS3/latest/API/API_{}.html",
}


def _call(service: str, name: str) -> str:
    return _API[service].format(name)


_QUOTAS = _IAM + "reference_iam-quotas.html"
_VPC_QUOTAS = _AWS + "vpc/latest/userguide/amazon-vpc-limits.html"
_SERVICE_LINKED = _IAM + "id_roles_create-service-linked-role.html"
_CONDITION_KEYS = _IAM + "reference_policies_condition-keys.html"
_STATE_ERRORS = _STATES + "concepts-error-handling.html"
_TARGET_RIGHTS = _EVENTS + "eb-use-resource-based.html"
_EC2_RIGHTS = _AWS + "service-authorization/latest/reference/list_amazonec2.html"
_IAM_RIGHTS = (
    _AWS + "service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html"
)

# Pattern of patch names -> document; the first that fits counts. {} is the last part of the name.
_DOCUMENTS: tuple[tuple[str, str], ...] = (
    (
        "provisioners._iam_role_*",
        _AWS + "AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html",
    ),
    ("handlers.*", _API["cloudformation"]),
    # EventBridge
    ("eventbridge._put_events", _call("eventbridge", "PutEvents")),
    ("eventbridge._put_permission", _call("eventbridge", "PutPermission")),
    ("eventbridge._dispatch_to_stepfunctions", _EVENTS + "eb-use-identity-based.html"),
    ("eventbridge._dispatch_to_event_bus", _EVENTS + "eb-cross-account.html"),
    ("eventbridge._dispatch_to_*", _TARGET_RIGHTS),
    ("eventbridge._invoke_target", _EVENTS + "eb-rule-dlq.html"),
    # CloudTrail
    (
        "app._maybe_record_cloudtrail",
        _AWS + "awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html",
    ),
    ("cloudtrail._lookup_events", _call("cloudtrail", "LookupEvents")),
    # AWS Config
    (
        "config.handle_request",
        _AWS + "config/latest/APIReference/API_GetResourceConfigHistory.html",
    ),
    # IAM and STS
    ("app._dispatch_service_request", _EC2_RIGHTS),
    ("iam.AWSDenyAll", _AWS + "aws-managed-policy/latest/reference/AWSDenyAll.html"),
    ("iam._attach_*_policy", _QUOTAS),
    ("iam._put_*_policy", _QUOTAS),
    ("iam._create_access_key", _QUOTAS),
    ("iam._detach_role_policy", _SERVICE_LINKED),
    ("iam._*_role*", _SERVICE_LINKED),
    ("iam._update_assume_role_policy", _SERVICE_LINKED),
    ("iam.handle_request", _call("iam", "ListAccessKeys")),
    ("iam._list_access_keys", _call("iam", "ListAccessKeys")),
    ("iam._list_mfa_devices", _call("iam", "ListMFADevices")),
    ("iam_evaluator.enforce", _AWS + "STS/latest/APIReference/API_GetSessionToken.html"),
    (
        "iam_actions.dynamodb_service_context",
        _AWS + "amazondynamodb/latest/developerguide/specifying-conditions.html",
    ),
    ("iam_actions.*", _IAM_RIGHTS),
    ("iam_evaluator.*", _CONDITION_KEYS),
    ("sts.register_session", _CONDITION_KEYS),
    ("sts._session_policies", _AWS + "STS/latest/APIReference/API_AssumeRole.html"),
    ("app.pin_request_origin", _CONDITION_KEYS),
    ("iam.[A-Z]*", _API["iam"]),
    ("account._list_regions", _AWS + "accounts/latest/reference/API_ListRegions.html"),
    # Lambda
    ("lambda_runtime._PYTHON_WORKER_SCRIPT", _LAMBDA + "python-exceptions.html"),
    ("Worker.invoke", _LAMBDA + "lambda-runtime-environment.html"),
    ("lambda_svc._execute_function_warm", _LAMBDA + "python-exceptions.html"),
    ("lambda_svc.release_worker", _LAMBDA + "lambda-runtime-environment.html"),
    ("lambda_svc._update_*", _LAMBDA + "lambda-runtime-environment.html"),
    ("lambda_svc._create_esm", _LAMBDA + "services-sqs-configure.html"),
    ("lambda_svc._route_async_failure", _LAMBDA + "invocation-async-retain-records.html"),
    (
        "cloudwatch_logs._filter_log_events",
        _AWS + "AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html",
    ),
    # Step Functions
    ("stepfunctions._apply_output_path", _STATES + "transforming-data.html"),
    ("stepfunctions._run_parallel_branches", _STATES + "state-parallel.html"),
    ("stepfunctions._run_map_items", _call("states", "HistoryEvent")),
    ("stepfunctions._run_sub_machine", _call("states", "HistoryEvent")),
    ("stepfunctions._add_event", _call("states", "HistoryEvent")),
    ("stepfunctions._run_execution", _STATES + "statemachine-structure.html"),
    ("stepfunctions._fail_execution", _call("states", "StopExecution")),
    ("stepfunctions._execute_task", _STATES + "state-task.html"),
    ("stepfunctions._invoke_resource", _STATES + "service-quotas.html"),
    ("stepfunctions._error_matches", _STATE_ERRORS),
    ("stepfunctions._start_execution", _call("states", "StartExecution")),
    ("stepfunctions._call_lambda", _STATES + "connect-lambda.html"),
    ("stepfunctions._invoke_sns_publish", _STATES + "connect-sns.html"),
    ("stepfunctions._create_state_machine", _call("states", "DescribeStateMachine")),
    ("stepfunctions._update_state_machine", _call("states", "UpdateStateMachine")),
    ("stepfunctions._delete_state_machine", _call("states", "DeleteStateMachine")),
    ("stepfunctions._invoke_nested_*", _STATES + "connect-stepfunctions.html"),
    ("stepfunctions._invoke_dynamodb", _STATES + "connect-ddb.html"),
    # S3
    ("s3._create_multipart_upload", _call("s3", "CreateMultipartUpload")),
    ("s3._complete_multipart_upload", _AWS + "AmazonS3/latest/userguide/object-lock.html"),
    # EC2
    ("General.get_console_screenshot", _call("ec2", "GetConsoleScreenshot")),
    ("EBSBackend.create_snapshot", _AWS + "ebs/latest/userguide/ebs-encryption.html"),
    ("EBSBackend.add_create_volume_*", _call("ec2", "ModifySnapshotAttribute")),
    ("*.copy_snapshot", _call("ec2", "CopySnapshot")),
    ("*.create_flow_logs", _call("ec2", "CreateFlowLogs")),
    (
        "NetworkInterfaceBackend.modify_network_interface_attribute",
        _call("ec2", "ModifyNetworkInterfaceAttribute"),
    ),
    ("NetworkInterface.get_filter_value", _call("ec2", "DescribeNetworkInterfaces")),
    ("NetworkInterface.*", _call("ec2", "NetworkInterface")),
    (
        "ElasticNetworkInterfaces.describe_trunk_interface_associations",
        _call("ec2", "DescribeTrunkInterfaceAssociations"),
    ),
    ("ElasticNetworkInterfaces.*", _VPC_QUOTAS),
    ("SecurityGroupBackend.create_security_group", _call("ec2", "CreateSecurityGroup")),
    ("SecurityGroupBackend._verify_group_*", _VPC_QUOTAS),
    ("InstanceResponse.modify_instance_attribute", _call("ec2", "ModifyInstanceAttribute")),
    ("Instance.prep_nics", _call("ec2", "InstanceNetworkInterfaceSpecification")),
    ("Instance.terminate", _call("ec2", "TerminateInstances")),
    ("Instance.*", _call("ec2", "Instance")),
    ("RegionsAndZonesBackend.describe_regions", _call("ec2", "DescribeRegions")),
    ("utils.iam-instance-profile.arn", _call("ec2", "DescribeInstances")),
    ("*.associate_iam_instance_profile", _call("ec2", "AssociateIamInstanceProfile")),
    (
        "*.replace_iam_instance_profile_association",
        _call("ec2", "ReplaceIamInstanceProfileAssociation"),
    ),
    ("Snapshot.*", _call("ec2", "Snapshot")),
    # Auto Scaling and Elastic Load Balancing
    ("AutoScalingBackend.detach_instances", _call("autoscaling", "DetachInstances")),
    ("AutoScalingBackend.enter_standby_instances", _call("autoscaling", "EnterStandby")),
    (
        "AutoScalingBackend.update_attached_target_groups",
        _AWS + "autoscaling/ec2/userguide/attach-load-balancer-asg.html",
    ),
    (
        "FakeAutoScalingGroup.replace_autoscaling_group_instances",
        _AWS + "autoscaling/ec2/userguide/launch-templates.html",
    ),
    (
        "FakeTargetGroup.deregister",
        _AWS + "elasticloadbalancing/latest/APIReference/API_DeregisterTargets.html",
    ),
    # Organizations and Systems Manager
    ("FakeAccount.describe", _AWS + "organizations/latest/APIReference/API_Account.html"),
    (
        "FakeServiceAccess.TRUSTED_SERVICES",
        _AWS + "organizations/latest/userguide/services-that-can-integrate-guardduty.html",
    ),
    (
        "FakeDelegatedAdministrator.SUPPORTED_SERVICES",
        _AWS + "organizations/latest/userguide/services-that-can-integrate-cloudformation.html",
    ),
    ("*.send_command", _call("ssm", "SendCommand")),
    ("*.describe_instance_information", _call("ssm", "DescribeInstanceInformation")),
    ("*.cancel_command", _call("ssm", "CancelCommand")),
    ("*.list_command_invocations", _call("ssm", "ListCommandInvocations")),
)

# What joins the two emulators or belongs to the sandbox: no upstream project has a use for it.
_JOINS = (
    "app._dispatch_service_request",
    "iam_evaluator._principal_org_id",
    "*.filter_iam_instance_profiles",
    "utils.make_random_org_id",
    "EC2Backend.create_flow_logs",
    "NetworkInterface.interface_type",
    "NetworkInterface.requester_managed",
)
_PROJECTS = {"ministack": "MiniStack", "moto": "moto"}
NO_AWS_BEHAVIOUR = "(no AWS behaviour)"


def document_of(name: str) -> str | None:
    """Return the address of the AWS document about a patch, by the patch's name; None when there
    is none.
    """
    for pattern, address in _DOCUMENTS:
        if fnmatchcase(name, pattern):
            return address.format(name.rsplit(".", 1)[-1])
    return None


def upstream_of(item: Patch) -> str:
    """Return the project that could take a patch, or why none could."""
    if item.restores.startswith(NO_AWS_BEHAVIOUR) or item.package not in _PROJECTS:
        return "none: the sandbox's own"
    if any(fnmatchcase(item.name, pattern) for pattern in _JOINS):
        return "none: it joins the two emulators"
    return _PROJECTS[item.package]
