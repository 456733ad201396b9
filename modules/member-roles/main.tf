# Internal: modules/responder-role and modules/responder-stackset call this module. Its variables may change in any release.
#
# Computes what the roles of a member account are, without creating any. responder-role creates them with Terraform,
# and responder-stackset writes them into a CloudFormation template (docs/decisions/0017). Which there are is said by
# for_member_accounts: one role for each playbook and job (contain, collect and monitor; restore, eradicate and terminate
# if switched on). Only the function of that job in the security account can assume it.

locals {
  iam_arn = "arn:${local.partition}:iam::${var.account_id}"

  name_prefix         = var.for_member_accounts.name_prefix
  path                = var.for_member_accounts.iam_path
  partition           = var.for_member_accounts.partition
  security_account_id = var.for_member_accounts.security_account_id
  organization_id     = var.for_member_accounts.organization_id

  # kind of member role => the name of the statement that trusts, and the role's purpose
  kinds = {
    responder  = { sid = "PlaybookFunction", may = "what the playbook may do in this account" }
    collector  = { sid = "CollectorFunction", may = "what collecting evidence may read in this account, and make" }
    remediator = { sid = "RemediateFunction", may = "undoing what a contained principal did in this account" }
    restorer   = { sid = "RestoreFunction", may = "what undoing the playbook may do in this account" }
    terminator = { sid = "TerminateFunction", may = "terminating what was contained in this account" }
    monitor    = { sid = "MonitorFunction", may = "what monitoring may read in this account" }
  }
  identity_center_kinds = {
    identity-center-responder = { sid = "PlaybookFunction", may = "what the playbook may do in Identity Center" }
    identity-center-monitor   = { sid = "MonitorFunction", may = "what monitoring may read in Identity Center" }
    identity-center-restorer  = { sid = "RestoreFunction", may = "what undoing the playbook may do in Identity Center" }
  }
  kinds_here = merge(local.kinds, { for kind, what in local.identity_center_kinds : kind => what if var.identity_center })

  keyed = {
    for key, role in var.for_member_accounts.roles : key => merge(role, local.kinds_here[dirname(key)], { kind = dirname(key), playbook = basename(key) })
    if contains(keys(local.kinds_here), dirname(key))
  }

  # The account is the principal, and the role is a condition. A role ARN as principal turns into an id when it is
  # saved, and would trust nobody after the role is created again (docs/decisions/0021).
  trust_policies = {
    for key, role in local.keyed : key => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = role.sid
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.security_account_id}:root" }
        Action    = "sts:AssumeRole"
        Condition = merge(
          { ArnEquals = { "aws:PrincipalArn" = role.trusted_function_role_arn } },
          { for operator, keys in { StringEquals = { "aws:PrincipalOrgID" = local.organization_id } } : operator => keys if local.organization_id != null },
        )
      }]
    })
  }

  # The JSON is compact, because IAM counts the characters of a role's inline policies.
  policies = {
    for key, role in local.keyed : key => jsonencode(jsondecode(templatefile("${path.module}/../../playbooks/${role.playbook}/${role.kind}-policy.json", {
      partition            = local.partition
      account_id           = var.account_id
      security_account_id  = local.security_account_id
      name_prefix          = local.name_prefix
      group_kinds          = jsonencode(var.for_member_accounts.untrack_connections ? ["quarantine", "untrack"] : ["quarantine"])
      untrack_connections  = var.for_member_accounts.untrack_connections
      rotate               = var.for_member_accounts.rotate_keys
      remediates           = contains(keys(local.keyed), "remediator/${role.playbook}")
      own_role_arns        = join(",", [for arn in local.own_role_arns : jsonencode(arn)])
      quarantine_role_arns = jsonencode([for name in values(var.for_member_accounts.instance_roles) : "${local.iam_arn}:role${local.path}${name}"])
    })))
  }

  # What no role of the response may change: the response itself. In this account, these are exactly the existing
  # roles, so that nobody protects a role of their own by its name (docs/decisions/0020). In the security account,
  # whose roles this module does not know, it is the prefix.
  own_role_arns = concat(
    [for role in values(local.keyed) : "${local.iam_arn}:role${local.path}${role.name}"],
    [for name in values(var.for_member_accounts.instance_roles) : "${local.iam_arn}:role${local.path}${name}"],
    ["arn:${local.partition}:iam::${local.security_account_id}:role${local.path}${local.name_prefix}-*"],
  )

  # The SSM agent's own calls (AWS Systems Manager, "ec2messages and ssmmessages"); no parameter, no bucket, no other service.
  agent_actions = [
    "ec2messages:AcknowledgeMessage",
    "ec2messages:DeleteMessage",
    "ec2messages:FailMessage",
    "ec2messages:GetEndpoint",
    "ec2messages:GetMessages",
    "ec2messages:SendReply",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
  ]

  # What an instance gets in place of its own role: a role that may do nothing, whatever a resource policy elsewhere
  # allows it. For forensics after containment, there is also a role that may do what the SSM agent calls and nothing
  # else, for instances whose quarantine group allows only the SSM endpoints.
  instance_roles = {
    quarantine = {
      description = "GuardDuty response: the role of a quarantined instance. It may do nothing."
      policy_name = "nothing"
      statements  = [{ Sid = "Nothing", Effect = "Deny", Action = "*", Resource = "*" }]
    }
    quarantine_ssm = {
      description = "GuardDuty response: the role of a quarantined instance that forensics may still reach. It may do what the SSM agent calls."
      policy_name = "ssm-agent"
      statements = [
        { Sid = "Agent", Effect = "Allow", Action = local.agent_actions, Resource = "*" },
        { Sid = "NothingElse", Effect = "Deny", NotAction = local.agent_actions, Resource = "*" },
      ]
    }
  }
}
