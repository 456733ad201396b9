# The companion for instances: their network interfaces, the quarantine groups, and the snapshots of an incident. It is
# a policy of its own, because one would be too long for both.

locals {
  # Of the collector: the snapshots, their sharing with the forensics account, and forensics over SSM. The remediator
  # takes back what a principal shared.
  contains_instances = concat(
    [for kind in ["collector", "responder", "restorer", "terminator"] : "${local.own}-${kind}-ec2-instance"],
    ["${local.own}-remediator-iam-principal", "${local.own}-vault"],
  )
  not_of_instances = { ArnNotLike = { "aws:PrincipalArn" = concat(local.contains_instances, local.exempt) } }
  ec2              = "arn:${local.partition}:ec2:*:*"

  # DeleteTags without keys takes off every tag, and has no aws:TagKeys: so what is tagged keeps all of its tags.
  ec2_statements = [
    {
      Sid    = "InstanceStays"
      Effect = "Deny"
      Action = [
        "ec2-instance-connect:Send*",
        "ec2:Assign*",
        "ec2:Associate*",
        "ec2:Attach*",
        "ec2:CreateNetworkInterfacePermission",
        "ec2:CreateReplaceRootVolumeTask",
        "ec2:DeleteNetworkInterface",
        "ec2:DeleteTags",
        "ec2:Detach*",
        "ec2:Disassociate*",
        "ec2:ModifyInstance*",
        "ec2:ModifyNetworkInterfaceAttribute",
        "ec2:Replace*",
        "ec2:ResetInstanceAttribute",
        "ec2:ResetNetworkInterfaceAttribute",
        "ec2:SendSpotInstanceInterruptions",
        "ec2:StartInstances",
        "ec2:TerminateInstances",
        "ec2:Unassign*",
        "ssm:CreateAssociation*",
        "ssm:SendCommand",
        "ssm:StartAccessRequest",
        "ssm:StartSession",
        "ssm:UpdateAssociation",
      ]
      Resource  = ["${local.ec2}:instance/*", "${local.ec2}:network-interface/*"]
      Condition = merge(local.not_of_instances, local.quarantined)
    },
    {
      Sid    = "GroupStays"
      Effect = "Deny"
      Action = [
        "ec2:AssociateSecurityGroupVpc",
        "ec2:AuthorizeSecurityGroup*",
        "ec2:DeleteSecurityGroup",
        "ec2:DeleteTags",
        "ec2:DisassociateSecurityGroupVpc",
        "ec2:ModifySecurityGroupRules",
      ]
      Resource  = "${local.ec2}:security-group/*"
      Condition = merge(local.not_of_instances, { StringEquals = { "aws:ResourceTag/${var.name_prefix}" = ["quarantine", "untrack"] } })
    },
    {
      Sid    = "SnapshotStays"
      Effect = "Deny"
      Action = [
        "ec2:DeleteSnapshot",
        "ec2:DeleteTags",
        "ec2:ModifySnapshot*",
        "ec2:ResetSnapshotAttribute",
        "ec2:UnlockSnapshot",
      ]
      Resource  = "${local.ec2}:snapshot/*"
      Condition = merge(local.not_of_instances, { Null = { "aws:ResourceTag/${var.name_prefix}-incident" = "false" } })
    },
    {
      Sid      = "TagStays"
      Effect   = "Deny"
      Action   = ["ec2:CreateTags", "ec2:DeleteTags"]
      Resource = "*"
      Condition = merge(local.not_of_instances, { "ForAnyValue:StringEqualsIgnoreCase" = {
        "aws:TagKeys" = concat([var.name_prefix], [for what in ["containment", "copy-of", "incident", "instance"] : "${var.name_prefix}-${what}"])
      } })
    },
  ]
  ec2_content = jsonencode({ Version = "2012-10-17", Statement = local.ec2_statements })
}

resource "aws_organizations_policy" "ec2" {
  count = var.ec2 ? 1 : 0

  name        = "${var.name_prefix}-quarantine-ec2"
  description = "Keeps everybody but the GuardDuty response from lifting the quarantine of an instance, and its snapshots from being shared or deleted."
  type        = "SERVICE_CONTROL_POLICY"
  content     = local.ec2_content
  tags        = var.tags

  lifecycle {
    precondition {
      condition     = length(local.ec2_content) <= var.policy_characters
      error_message = "The service control policy for instances has ${length(local.ec2_content)} characters; AWS Organizations takes ${var.policy_characters} (policy_characters). Shorten exempt_principal_arns, with * where that is safe."
    }
  }
}

resource "aws_organizations_policy_attachment" "ec2" {
  for_each = var.ec2 ? var.target_ids : []

  policy_id = aws_organizations_policy.ec2[0].id
  target_id = each.value
}
