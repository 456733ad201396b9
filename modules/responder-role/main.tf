# Deployed in every member account: one role per playbook, assumed by that playbook's function in the security account,
# where switched on one more that restores, assumed by the restore function, and the role a quarantined instance is left with.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id

  function_role_arns = {
    for name in var.playbooks :
    name => "arn:${local.partition}:iam::${var.security_account_id}:role${var.iam.path}${var.name_prefix}-playbook-${replace(name, "_", "-")}"
  }

  restore_function_role_arns = {
    for name in var.restore :
    name => "arn:${local.partition}:iam::${var.security_account_id}:role${var.iam.path}${var.name_prefix}-restore-${replace(name, "_", "-")}"
  }

  # The account is the principal and the role a condition: a role ARN as principal turns into an id when saved, and would
  # trust nobody once the role is created again.
  all_trust_policies = {
    for sid, arns in { PlaybookFunction = local.function_role_arns, RestoreFunction = local.restore_function_role_arns } : sid => {
      for name, arn in arns : name => jsonencode({
        Version = "2012-10-17"
        Statement = [{
          Sid       = sid
          Effect    = "Allow"
          Principal = { AWS = "arn:${local.partition}:iam::${var.security_account_id}:root" }
          Action    = "sts:AssumeRole"
          Condition = merge(
            { ArnEquals = { "aws:PrincipalArn" = arn } },
            { for operator, keys in { StringEquals = { "aws:PrincipalOrgID" = var.organization_id } } : operator => keys if var.organization_id != null },
          )
        }]
      })
    }
  }
  trust_policies          = local.all_trust_policies.PlaybookFunction
  restorer_trust_policies = local.all_trust_policies.RestoreFunction

  # Compact: IAM counts a role's inline policies in characters.
  responder_policies = {
    for name in var.playbooks : name => jsonencode(jsondecode(templatefile("${path.module}/../../playbooks/${name}/responder-policy.json", {
      partition           = local.partition
      account_id          = local.account_id
      name_prefix         = var.name_prefix
      group_kinds         = jsonencode(var.untrack_connections ? ["quarantine", "untrack"] : ["quarantine"])
      untrack_connections = var.untrack_connections
      quarantine_role_arn = "arn:${local.partition}:iam::${local.account_id}:role${var.iam.path}${local.quarantine_name}"
    })))
  }

  restorer_policies = {
    for name in var.restore : name => jsonencode(jsondecode(templatefile("${path.module}/../../playbooks/${name}/restorer-policy.json", {
      partition   = local.partition
      account_id  = local.account_id
      name_prefix = var.name_prefix
    })))
  }

  quarantine_name = "${var.name_prefix}-quarantine"
}

resource "aws_iam_role" "responder" {
  for_each = local.function_role_arns

  name                 = "${var.name_prefix}-responder-${replace(each.key, "_", "-")}"
  description          = "GuardDuty response: what the ${each.key} playbook may do in this account."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary
  assume_role_policy   = local.trust_policies[each.key]
  max_session_duration = 3600
  tags                 = var.tags
}

resource "aws_iam_role_policy" "responder" {
  #checkov:skip=CKV_AWS_286:the policy narrows iam:PutRolePolicy by explicit denials, and every session by a session policy
  #checkov:skip=CKV_AWS_287:the policy reads no credentials
  #checkov:skip=CKV_AWS_289:the policy narrows iam:PutRolePolicy by explicit denials, and every session by a session policy
  #checkov:skip=CKV_AWS_290:which resources a finding names is known at run time only; each session carries a session policy with their ARNs
  #checkov:skip=CKV_AWS_355:describe calls have no resource ARNs
  for_each = local.responder_policies

  name   = "responder"
  role   = aws_iam_role.responder[each.key].id
  policy = each.value

  lifecycle {
    precondition {
      condition     = length(each.value) < 10240
      error_message = "The responder policy of playbook ${each.key} has ${length(each.value)} characters; IAM takes 10240 for the inline policies of a role."
    }
  }
}

# Undoes containment. A role of its own, so that what contains cannot restore, nor the other way round.
resource "aws_iam_role" "restorer" {
  for_each = local.restore_function_role_arns

  name                 = "${var.name_prefix}-restorer-${replace(each.key, "_", "-")}"
  description          = "GuardDuty response: what undoing the ${each.key} playbook may do in this account."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary
  assume_role_policy   = local.restorer_trust_policies[each.key]
  max_session_duration = 3600
  tags                 = var.tags
}

resource "aws_iam_role_policy" "restorer" {
  #checkov:skip=CKV_AWS_286:iam:PassRole and the policy calls are narrowed by explicit denials, and every session by a session policy
  #checkov:skip=CKV_AWS_287:the policy reads no credentials
  #checkov:skip=CKV_AWS_289:iam:PassRole and the policy calls are narrowed by explicit denials, and every session by a session policy
  #checkov:skip=CKV_AWS_290:which resources were contained is known at run time only; each session carries a session policy with their ARNs
  #checkov:skip=CKV_AWS_355:describe calls have no resource ARNs
  for_each = local.restorer_policies

  name   = "restorer"
  role   = aws_iam_role.restorer[each.key].id
  policy = each.value
}

# What an instance is left with: a role that may do nothing, whatever a resource policy elsewhere allows it.
resource "aws_iam_role" "quarantine" {
  name                 = local.quarantine_name
  description          = "GuardDuty response: the role of a quarantined instance. It may do nothing."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "quarantine" {
  name = "nothing"
  role = aws_iam_role.quarantine.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = "Nothing", Effect = "Deny", Action = "*", Resource = "*" }]
  })
}

resource "aws_iam_instance_profile" "quarantine" {
  name = local.quarantine_name
  path = var.iam.path
  role = aws_iam_role.quarantine.name
  tags = var.tags

  # Never a profile without its denial.
  depends_on = [aws_iam_role_policy.quarantine]
}
