# This module is deployed in every member account. It creates the roles of member-roles with Terraform;
# responder-stackset creates the same ones with CloudFormation.

data "aws_caller_identity" "current" {}

module "roles" {
  source = "../member-roles"

  for_member_accounts  = var.for_member_accounts
  account_id           = data.aws_caller_identity.current.account_id
  permissions_boundary = var.permissions_boundary
  identity_center      = var.identity_center
}

locals {
  roles = module.roles.roles
  # Written by name, as the plan knows it. The roles come first all the same.
  role_arns = {
    for key, role in local.roles :
    key => concat(["arn:${var.for_member_accounts.partition}:iam::${data.aws_caller_identity.current.account_id}:role${role.path}${role.name}"], values(aws_iam_role.member)[*].arn)[0]
  }
  quarantine = module.roles.instance_roles
}

resource "aws_iam_role" "member" {
  #checkov:skip=CKV_AWS_61:the security account is the principal, and the condition narrows it to one function's role
  for_each = local.roles

  name                 = each.value.name
  description          = each.value.description
  path                 = each.value.path
  permissions_boundary = each.value.permissions_boundary
  assume_role_policy   = each.value.trust_policy
  max_session_duration = each.value.max_session_duration
  tags                 = var.tags
}

resource "aws_iam_role_policy" "member" {
  #checkov:skip=CKV_AWS_286:the policies narrow iam:PutRolePolicy and iam:PassRole by explicit denials, and every session by a session policy
  #checkov:skip=CKV_AWS_287:the policies read no credentials
  #checkov:skip=CKV_AWS_288:what is read is evidence of this account, by sessions narrowed to the resources a finding names
  #checkov:skip=CKV_AWS_289:the policies narrow iam:PutRolePolicy and iam:PassRole by explicit denials, and every session by a session policy
  #checkov:skip=CKV_AWS_290:which resources a finding names is known at run time only; each session carries a session policy with their ARNs
  #checkov:skip=CKV_AWS_355:describe calls have no resource ARNs
  for_each = local.roles

  name   = each.value.policy_name
  role   = aws_iam_role.member[each.key].id
  policy = each.value.policy
}
