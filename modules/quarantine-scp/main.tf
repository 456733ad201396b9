# For the management account (or a delegated administrator of Organizations): service control policies that keep
# everybody else from lifting or sidestepping a quarantine. This file has that of users and roles, ec2.tf that of
# instances. They go by the names of the response's roles and by the tags that containment sets, so nobody else may
# write either. Service control policies do not apply to the management account's own principals, nor to service-linked
# roles. README.md says what is denied to whom, and what is not.

data "aws_partition" "current" {}

locals {
  partition = data.aws_partition.current.partition
  iam       = "arn:${local.partition}:iam::*"
  deny_all  = "arn:${local.partition}:iam::aws:policy/AWSDenyAll"
  own       = "${local.iam}:role${var.iam_path}${var.name_prefix}"

  # Who may write what: the response's own roles in every account, and the principals named. Of the response's roles,
  # re* names responder, remediator and restorer: exact names would take a quarter of the policy. Only who deploys can
  # make another role of such a name (ResponseStays).
  contains_principals = ["${local.own}-re*-iam-principal"]
  denies_sessions     = ["${local.own}-re*r-*"] # of every playbook
  session_policies    = "${local.iam}:policy*/${var.name_prefix}-sessions-*"
  stackset_roles      = [for name in var.stackset_execution_roles : "${local.iam}:role/${name}"]
  deployers           = concat(var.deployer_principal_arns, local.stackset_roles)
  exempt              = var.exempt_principal_arns

  not_of_users    = { ArnNotLike = { "aws:PrincipalArn" = concat(local.contains_principals, local.exempt) } }
  not_of_roles    = { ArnNotLike = { "aws:PrincipalArn" = concat(local.denies_sessions, local.exempt) } }
  not_of_deployer = { ArnNotLike = { "aws:PrincipalArn" = concat(local.deployers, local.exempt) } }
  quarantined     = { StringEquals = { "aws:ResourceTag/${var.name_prefix}" = "quarantined" } }

  # A role of the response that others could make, or whose trust policy they could change, would lift everything; so
  # would a role or user that is exempt. In any path: a name is taken once in an account.
  protected = concat(
    ["${local.iam}:role*/${var.name_prefix}-*", "${local.iam}:instance-profile*/${var.name_prefix}-*"],
    [for arn in distinct(concat(local.deployers, local.exempt)) : arn if can(regex("^arn:[a-z*-]+:iam::[^:]+:(role|user)/", arn))],
  )

  protects_users = anytrue([for arn in local.protected : strcontains(arn, ":user/")])

  # IAM has no condition for the name of an inline policy: while sessions are denied on a role, these statements keep
  # every inline policy of it, and nothing else (docs/decisions/0037).
  denied_role = { StringEquals = { "aws:ResourceTag/${var.name_prefix}-sessions" = "denied" } }
  statements_of_denied_roles = [
    {
      Sid       = "DeniedRoleStays"
      Effect    = "Deny"
      Action    = ["iam:DeleteRolePolicy", "iam:PutRolePolicy"]
      Resource  = "${local.iam}:role/*"
      Condition = merge(local.not_of_roles, local.denied_role)
    },
    {
      Sid       = "DeniedRoleTagStays"
      Effect    = "Deny"
      Action    = ["iam:TagRole", "iam:UntagRole"]
      Resource  = "*"
      Condition = merge(local.not_of_roles, { "ForAnyValue:StringEqualsIgnoreCase" = { "aws:TagKeys" = ["${var.name_prefix}-sessions"] } })
    },
  ]

  statements_of_quarantine = [
    {
      Sid    = "ResponseStays"
      Effect = "Deny"
      Action = concat(
        ["iam:Add*", "iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:Put*", "iam:Remove*", "iam:Tag*", "iam:Untag*", "iam:Update*"],
        local.protects_users ? ["iam:ChangePassword", "iam:Deactivate*", "iam:Enable*", "iam:Reset*", "iam:Resync*", "iam:Upload*"] : [],
      )
      Resource  = local.protected
      Condition = local.not_of_deployer
    },
    {
      Sid       = "DenialStays"
      Effect    = "Deny"
      Action    = "iam:DetachUserPolicy"
      Resource  = "*"
      Condition = merge(local.not_of_users, { ArnEquals = { "iam:PolicyARN" = local.deny_all } })
    },
    {
      # What denies the sessions of a role whose inline policies are full, is a managed policy of the response.
      Sid       = "SessionsStay"
      Effect    = "Deny"
      Action    = ["iam:CreatePolicy*", "iam:DeletePolicy*", "iam:SetDefaultPolicyVersion"]
      Resource  = local.session_policies
      Condition = local.not_of_roles
    },
    {
      Sid       = "SessionsStayAttached"
      Effect    = "Deny"
      Action    = "iam:DetachRolePolicy"
      Resource  = "*"
      Condition = merge(local.not_of_roles, { ArnLike = { "iam:PolicyARN" = local.session_policies } })
    },
    {
      Sid       = "BoundaryStays"
      Effect    = "Deny"
      Action    = ["iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary"]
      Resource  = "*"
      Condition = merge(local.not_of_users, { ArnEquals = { "iam:PermissionsBoundary" = local.deny_all } })
    },
    {
      Sid    = "UserStays"
      Effect = "Deny"
      Action = [
        "iam:Attach*",
        "iam:ChangePassword",
        "iam:Create*",
        "iam:Deactivate*",
        "iam:DeleteUser*",
        "iam:Detach*",
        "iam:Enable*",
        "iam:Put*",
        "iam:Reset*",
        "iam:Resync*",
        "iam:Update*",
        "iam:Upload*",
      ]
      Resource  = "${local.iam}:user/*"
      Condition = merge(local.not_of_users, local.quarantined)
    },
    {
      Sid       = "RoleStays"
      Effect    = "Deny"
      Action    = ["iam:Attach*", "iam:DeleteRole*", "iam:Detach*", "iam:Put*", "iam:Update*"]
      Resource  = "${local.iam}:role/*"
      Condition = merge(local.not_of_roles, local.quarantined)
    },
    {
      # IAM's tag keys are the same in upper and lower case: a tag of another case takes the place of ours.
      Sid       = "TagStays"
      Effect    = "Deny"
      Action    = ["iam:TagRole", "iam:TagUser", "iam:UntagRole", "iam:UntagUser"]
      Resource  = "*"
      Condition = merge(local.not_of_users, { "ForAnyValue:StringEqualsIgnoreCase" = { "aws:TagKeys" = [var.name_prefix, "${var.name_prefix}-incident"] } })
    },
  ]
  statements = concat(local.statements_of_quarantine, [for statement in local.statements_of_denied_roles : statement if var.denied_roles])
  content    = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}

resource "aws_organizations_policy" "this" {
  name        = "${var.name_prefix}-quarantine"
  description = "Keeps everybody but the GuardDuty response from lifting the quarantine of an IAM user or role."
  type        = "SERVICE_CONTROL_POLICY"
  content     = local.content
  tags        = var.tags

  lifecycle {
    precondition {
      condition     = length(local.content) <= var.policy_characters
      error_message = "The service control policy has ${length(local.content)} characters; AWS Organizations takes ${var.policy_characters} (policy_characters). Shorten exempt_principal_arns and deployer_principal_arns, with * where that is safe, or set denied_roles = false."
    }
  }
}

resource "aws_organizations_policy_attachment" "this" {
  for_each = var.target_ids

  policy_id = aws_organizations_policy.this.id
  target_id = each.value
}
