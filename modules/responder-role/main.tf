# Deployed in every member account: for each playbook one role a job (contain, collect; undo and terminate where switched on),
# each assumed by that job's function in the security account alone, and the roles a quarantined instance is left with.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id

  # kind of member role => the function that may assume it, the playbooks it is made for, what it is for
  kinds = {
    responder  = { function = "playbook", sid = "PlaybookFunction", playbooks = var.playbooks, may = "what the playbook may do in this account" }
    collector  = { function = "collect", sid = "CollectorFunction", playbooks = var.playbooks, may = "what collecting evidence may read in this account, and make" }
    remediator = { function = "remediate", sid = "RemediateFunction", playbooks = var.remediate, may = "undoing what a contained principal did in this account" }
    restorer   = { function = "restore", sid = "RestoreFunction", playbooks = var.restore, may = "what undoing the playbook may do in this account" }
    terminator = { function = "terminate", sid = "TerminateFunction", playbooks = var.terminate, may = "terminating what was contained in this account" }
  }

  roles = merge([
    for kind, what in local.kinds : { for name in what.playbooks : "${kind}/${name}" => { kind = kind, playbook = name, slug = replace(name, "_", "-") } }
  ]...)

  function_role_arns = {
    for key, role in local.roles :
    key => "arn:${local.partition}:iam::${var.security_account_id}:role${var.iam.path}${var.name_prefix}-${local.kinds[role.kind].function}-${role.slug}"
  }

  # The account is the principal and the role a condition: a role ARN as principal turns into an id when saved, and would
  # trust nobody once the role is created again.
  trust_policies = {
    for key, arn in local.function_role_arns : key => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = local.kinds[local.roles[key].kind].sid
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

  # Compact: IAM counts a role's inline policies in characters.
  policies = {
    for key, role in local.roles : key => jsonencode(jsondecode(templatefile("${path.module}/../../playbooks/${role.playbook}/${role.kind}-policy.json", {
      partition            = local.partition
      account_id           = local.account_id
      security_account_id  = var.security_account_id
      name_prefix          = var.name_prefix
      group_kinds          = jsonencode(var.untrack_connections ? ["quarantine", "untrack"] : ["quarantine"])
      untrack_connections  = var.untrack_connections
      rotate               = var.rotate_keys
      remediates           = contains(var.remediate, role.playbook)
      quarantine_role_arns = jsonencode([for name in local.quarantine_names : "arn:${local.partition}:iam::${local.account_id}:role${var.iam.path}${name}"])
    })))
  }

  quarantine_name  = "${var.name_prefix}-quarantine"
  ssm_name         = "${local.quarantine_name}-ssm"
  quarantine_names = var.forensics ? [local.quarantine_name, local.ssm_name] : [local.quarantine_name]
}

resource "aws_iam_role" "member" {
  #checkov:skip=CKV_AWS_61:the security account is the principal, and the condition narrows it to one function's role
  for_each = local.roles

  name                 = "${var.name_prefix}-${each.value.kind}-${each.value.slug}"
  description          = "GuardDuty response, ${each.value.playbook}: ${local.kinds[each.value.kind].may}."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary
  assume_role_policy   = local.trust_policies[each.key]
  max_session_duration = 3600
  tags                 = var.tags
}

resource "aws_iam_role_policy" "member" {
  #checkov:skip=CKV_AWS_286:the policies narrow iam:PutRolePolicy and iam:PassRole by explicit denials, and every session by a session policy
  #checkov:skip=CKV_AWS_287:the policies read no credentials
  #checkov:skip=CKV_AWS_288:what is read is evidence of this account, by sessions narrowed to the resources a finding names
  #checkov:skip=CKV_AWS_289:the policies narrow iam:PutRolePolicy and iam:PassRole by explicit denials, and every session by a session policy
  #checkov:skip=CKV_AWS_290:which resources a finding names is known at run time only; each session carries a session policy with their ARNs
  #checkov:skip=CKV_AWS_355:describe calls have no resource ARNs
  for_each = local.policies

  name   = local.roles[each.key].kind
  role   = aws_iam_role.member[each.key].id
  policy = each.value

  lifecycle {
    precondition {
      condition     = length(each.value) < 10240
      error_message = "The policy ${each.key} has ${length(each.value)} characters; IAM takes 10240 for the inline policies of a role."
    }
  }
}

# What an instance is left with: a role that may do nothing, whatever a resource policy elsewhere allows it.
resource "aws_iam_role" "quarantine" {
  name                 = local.quarantine_name
  description          = "GuardDuty response: the role of a quarantined instance. It may do nothing."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary
  tags                 = var.tags

  assume_role_policy = local.ec2_trust
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
