"""Commands for changes without a reversal, and for categories that are switched off.

Event and field names are CloudTrail's: request and answer with lower-case first letters (AWS
CloudTrail User Guide, "Record contents"). ``{p.x}`` is a parameter of the request, ``{r.x}`` a
field of the answer.
"""

from __future__ import annotations

import re

from guardduty_response.decision import finding
from guardduty_response.playbooks.iam_principal.reversals.changes import Change, command

COMMANDS = {
    # IAM
    "iam:AddRoleToInstanceProfile": (
        "iam remove-role-from-instance-profile --instance-profile-name {p.instanceProfileName}"
        " --role-name {p.roleName}"
    ),
    "iam:AddClientIDToOpenIDConnectProvider": (
        "iam remove-client-id-from-open-id-connect-provider --open-id-connect-provider-arn"
        " {p.openIDConnectProviderArn} --client-id {p.clientID}"
    ),
    "iam:AttachUserPolicy": (
        "iam detach-user-policy --user-name {p.userName} --policy-arn {p.policyArn}"
    ),
    "iam:CreateGroup": "iam delete-group --group-name {p.groupName}",
    "iam:CreateInstanceProfile": (
        "iam delete-instance-profile --instance-profile-name {p.instanceProfileName}"
    ),
    "iam:CreateOpenIDConnectProvider": (
        "iam delete-open-id-connect-provider --open-id-connect-provider-arn"
        " {r.openIDConnectProviderArn}"
    ),
    "iam:CreatePolicy": "iam delete-policy --policy-arn {r.policy.arn}",
    "iam:CreatePolicyVersion": "iam list-policy-versions --policy-arn {p.policyArn}",
    "iam:CreateSAMLProvider": "iam delete-saml-provider --saml-provider-arn {r.sAMLProviderArn}",
    "iam:CreateServiceLinkedRole": "iam delete-service-linked-role --role-name {r.role.roleName}",
    "iam:CreateServiceSpecificCredential": (
        "iam update-service-specific-credential --status Inactive --user-name {p.userName} "
        "--service-specific-credential-id {r.serviceSpecificCredential.serviceSpecificCredentialId}"
    ),
    "iam:CreateVirtualMFADevice": (
        "iam delete-virtual-mfa-device --serial-number {r.virtualMFADevice.serialNumber}"
    ),
    "iam:DeactivateMFADevice": (
        "iam enable-mfa-device --user-name {p.userName} --serial-number {p.serialNumber}"
        " --authentication-code1 CODE --authentication-code2 CODE"
    ),
    "iam:DeleteRolePermissionsBoundary": (
        "iam put-role-permissions-boundary --permissions-boundary ARN --role-name {p.roleName}"
    ),
    "iam:DeleteUserPermissionsBoundary": (
        "iam put-user-permissions-boundary --permissions-boundary ARN --user-name {p.userName}"
    ),
    "iam:DetachGroupPolicy": (
        "iam attach-group-policy --group-name {p.groupName} --policy-arn {p.policyArn}"
    ),
    "iam:DetachRolePolicy": (
        "iam attach-role-policy --role-name {p.roleName} --policy-arn {p.policyArn}"
    ),
    "iam:DetachUserPolicy": (
        "iam attach-user-policy --user-name {p.userName} --policy-arn {p.policyArn}"
    ),
    "iam:EnableMFADevice": (
        "iam deactivate-mfa-device --user-name {p.userName} --serial-number {p.serialNumber}"
    ),
    "iam:PutRolePermissionsBoundary": (
        "iam delete-role-permissions-boundary --role-name {p.roleName}"
    ),
    "iam:PutUserPermissionsBoundary": (
        "iam delete-user-permissions-boundary --user-name {p.userName}"
    ),
    "iam:RemoveRoleFromInstanceProfile": (
        "iam add-role-to-instance-profile --instance-profile-name {p.instanceProfileName}"
        " --role-name {p.roleName}"
    ),
    "iam:RemoveUserFromGroup": (
        "iam add-user-to-group --group-name {p.groupName} --user-name {p.userName}"
    ),
    "iam:SetDefaultPolicyVersion": "iam list-policy-versions --policy-arn {p.policyArn}",
    "iam:UpdateAccessKey": (
        "iam update-access-key --status Active --user-name {p.userName} --access-key-id"
        " {p.accessKeyId}"
    ),
    "iam:UploadSSHPublicKey": (
        "iam update-ssh-public-key --status Inactive --user-name {p.userName} --ssh-public-key-id"
        " {r.sSHPublicKey.sSHPublicKeyId}"
    ),
    "iam:UploadSigningCertificate": (
        "iam update-signing-certificate --status Inactive --user-name {p.userName} --certificate-id"
        " {r.certificate.certificateId}"
    ),
    # EC2
    "ec2:AllocateAddress": "ec2 release-address --allocation-id {r.allocationId}",
    "ec2:AssociateIamInstanceProfile": (
        "ec2 disassociate-iam-instance-profile --association-id "
        "{r.AssociateIamInstanceProfileResponse.iamInstanceProfileAssociation.associationId}"
    ),
    "ec2:AttachInternetGateway": (
        "ec2 detach-internet-gateway --internet-gateway-id {p.internetGatewayId} --vpc-id {p.vpcId}"
    ),
    "ec2:AttachVolume": "ec2 detach-volume --volume-id {p.volumeId}",
    "ec2:CopySnapshot": "ec2 delete-snapshot --snapshot-id {r.snapshotId}",
    "ec2:CreateImage": "ec2 deregister-image --image-id {r.imageId}",
    "ec2:CreateInternetGateway": (
        "ec2 delete-internet-gateway --internet-gateway-id {r.internetGateway.internetGatewayId}"
    ),
    "ec2:CreateKeyPair": "ec2 delete-key-pair --key-name {p.keyName}",
    "ec2:CreateNetworkInterface": (
        "ec2 delete-network-interface --network-interface-id"
        " {r.networkInterface.networkInterfaceId}"
    ),
    "ec2:CreateRoute": (
        "ec2 delete-route --route-table-id {p.routeTableId} --destination-cidr-block"
        " {p.destinationCidrBlock}"
    ),
    "ec2:CreateSecurityGroup": "ec2 delete-security-group --group-id {r.groupId}",
    "ec2:CreateSnapshot": "ec2 delete-snapshot --snapshot-id {r.snapshotId}",
    "ec2:CreateSubnet": "ec2 delete-subnet --subnet-id {r.subnet.subnetId}",
    "ec2:CreateVolume": "ec2 delete-volume --volume-id {r.volumeId}",
    "ec2:CreateVpc": "ec2 delete-vpc --vpc-id {r.vpc.vpcId}",
    "ec2:DeleteFlowLogs": "ec2 describe-flow-logs",
    "ec2:DisableEbsEncryptionByDefault": "ec2 enable-ebs-encryption-by-default",
    "ec2:DisableSerialConsoleAccess": "ec2 enable-serial-console-access",
    "ec2:EnableSerialConsoleAccess": "ec2 disable-serial-console-access",
    "ec2:ImportKeyPair": "ec2 delete-key-pair --key-name {p.keyName}",
    "ec2:ModifyInstanceAttribute": "ec2 describe-instances --instance-ids {p.instanceId}",
    "ec2:ModifySecurityGroupRules": (
        "ec2 describe-security-group-rules --filters"
        " Name=group-id,Values={p.ModifySecurityGroupRulesRequest.GroupId}"
    ),
    "ec2:StartInstances": "ec2 stop-instances --instance-ids {p.instancesSet.items.0.instanceId}",
    "ec2:StopInstances": "ec2 start-instances --instance-ids {p.instancesSet.items.0.instanceId}",
    # S3
    "s3:CreateBucket": "s3api delete-bucket --bucket {p.bucketName}",
    "s3:DeleteAccountPublicAccessBlock": (
        "s3control put-public-access-block --account-id {account}"
        " --public-access-block-configuration "
        "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,"
        "RestrictPublicBuckets=true"
    ),
    "s3:DeleteBucketPolicy": (
        "s3api put-bucket-policy --policy file://policy.json --bucket {p.bucketName}"
    ),
    "s3:PutAccountPublicAccessBlock": (
        "s3control put-public-access-block --account-id {account}"
        " --public-access-block-configuration "
        "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,"
        "RestrictPublicBuckets=true"
    ),
    "s3:PutBucketLifecycle": "s3api get-bucket-lifecycle-configuration --bucket {p.bucketName}",
    "s3:PutBucketReplication": "s3api delete-bucket-replication --bucket {p.bucketName}",
    "s3:PutBucketVersioning": "s3api get-bucket-versioning --bucket {p.bucketName}",
    # what watches
    "cloudtrail:DeleteTrail": (
        "cloudtrail create-trail --is-multi-region-trail --s3-bucket-name BUCKET --name {p.name}"
    ),
    "cloudtrail:PutEventSelectors": "cloudtrail get-event-selectors --trail-name {p.trailName}",
    "cloudtrail:StopEventDataStoreIngestion": (
        "cloudtrail start-event-data-store-ingestion --event-data-store {p.eventDataStore}"
    ),
    "cloudtrail:UpdateTrail": "cloudtrail get-trail --name {p.name}",
    "config:DeleteConfigurationRecorder": (
        "configservice put-configuration-recorder --configuration-recorder file://recorder.json"
    ),
    "config:StopConfigurationRecorder": (
        "configservice start-configuration-recorder --configuration-recorder-name"
        " {p.configurationRecorderName}"
    ),
    "guardduty:ArchiveFindings": (
        "guardduty unarchive-findings --detector-id {p.detectorId} --finding-ids {p.findingIds.0}"
    ),
    "guardduty:CreateFilter": (
        "guardduty delete-filter --detector-id {p.detectorId} --filter-name {p.name}"
    ),
    "guardduty:CreateIPSet": (
        "guardduty delete-ip-set --detector-id {p.detectorId} --ip-set-id {r.ipSetId}"
    ),
    "guardduty:DeleteDetector": "guardduty create-detector --enable",
    "guardduty:DisassociateFromAdministratorAccount": (
        "guardduty accept-administrator-invitation --detector-id {p.detectorId} --administrator-id"
        " ACCOUNT --invitation-id ID"
    ),
    "guardduty:UpdateDetector": "guardduty get-detector --detector-id {p.detectorId}",
    "securityhub:DisableSecurityHub": "securityhub enable-security-hub",
    "logs:DeleteLogGroup": "logs create-log-group --log-group-name {p.logGroupName}",
    # Lambda, data, keys
    "lambda:AddPermission20150331": "lambda get-policy --function-name {p.functionName}",
    "lambda:AddPermission20150331v2": "lambda get-policy --function-name {p.functionName}",
    "lambda:CreateEventSourceMapping20150331": "lambda delete-event-source-mapping --uuid {r.uUID}",
    "lambda:CreateFunctionUrlConfig": (
        "lambda delete-function-url-config --function-name {p.functionName}"
    ),
    "lambda:UpdateFunctionCode20150331": (
        "lambda list-versions-by-function --function-name {p.functionName}"
    ),
    "lambda:UpdateFunctionCode20150331v2": (
        "lambda list-versions-by-function --function-name {p.functionName}"
    ),
    "lambda:UpdateFunctionConfiguration20150331v2": (
        "lambda get-function-configuration --function-name {p.functionName}"
    ),
    "kms:CreateGrant": "kms revoke-grant --key-id {p.keyId} --grant-id {r.grantId}",
    "kms:DisableKey": "kms enable-key --key-id {p.keyId}",
    "kms:PutKeyPolicy": "kms get-key-policy --key-id {p.keyId}",
    "kms:ScheduleKeyDeletion": "kms cancel-key-deletion --key-id {p.keyId}",
    "rds:ModifyDBSnapshotAttribute": (
        "rds modify-db-snapshot-attribute --attribute-name restore --db-snapshot-identifier"
        " {p.dBSnapshotIdentifier} --values-to-remove {p.valuesToAdd.0}"
    ),
    "rds:ModifyDBClusterSnapshotAttribute": (
        "rds modify-db-cluster-snapshot-attribute --attribute-name restore"
        " --db-cluster-snapshot-identifier {p.dBClusterSnapshotIdentifier} --values-to-remove"
        " {p.valuesToAdd.0}"
    ),
    "secretsmanager:DeleteSecret": "secretsmanager restore-secret --secret-id {p.secretId}",
    "secretsmanager:PutResourcePolicy": (
        "secretsmanager get-resource-policy --secret-id {p.secretId}"
    ),
    "ssm:CreateAssociation": (
        "ssm delete-association --association-id {r.associationDescription.associationId}"
    ),
    "ssm:SendCommand": "ssm list-command-invocations --details --command-id {r.command.commandId}",
    "ssm:StartSession": "ssm terminate-session --session-id {r.sessionId}",
    "events:PutRule": "events disable-rule --name {p.name}",
    "organizations:LeaveOrganization": "organizations describe-organization",
}
_FIELD = re.compile(r"\{(account|[pr](?:\.\w+)+)\}")


def template(change: Change) -> str:
    """Return the command of the table with its placeholders, or empty."""
    return COMMANDS.get(change.key.replace("s3-control:", "s3:"), "")


def command_for(change: Change) -> str:
    """Return what a person would run, each value quoted.

    Where no command is known or a value is missing, it is the command that looks the event up.
    """
    words = template(change).split()
    if not words:
        return change.lookup_command
    filled = [_FIELD.sub(lambda found: _value(change, found[1]) or "\0", word) for word in words]
    if any("\0" in word for word in filled):
        return change.lookup_command
    return command(" ".join(filled[:2]), *filled[2:], region=change.region)


def _value(change: Change, path: str) -> str:
    """Return the text that a placeholder stands for."""
    if path == "account":
        return change.account
    source, *fields = path.split(".")
    node = change.parameters if source == "p" else change.response
    keys = [int(field) if field.isdigit() else field for field in fields]
    return finding.text(finding.get(node, *keys), 200)
