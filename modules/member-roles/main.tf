# Computes what the roles of a member account are, without creating any. responder-role creates them with Terraform,
# and responder-stackset writes them into a CloudFormation template (docs/decisions/0017). Each playbook has one role
# for each job (contain, collect and monitor; restore, eradicate and terminate if switched on). Only the function of
# that job in the security account can assume it.

locals {
  iam_arn = "arn:${var.partition}:iam::${var.account_id}"

  playbooks = var.playbooks == null ? toset([for file in fileset("${path.module}/../../playbooks", "*/playbook.yaml") : dirname(file)]) : var.playbooks

  monitored = [for name in local.playbooks : name if fileexists("${path.module}/../../playbooks/${name}/monitor-policy.json")]

  # kind of member role => the function that may assume it, the playbooks for which it exists, its purpose
  kinds = {
    responder  = { function = "playbook", sid = "PlaybookFunction", playbooks = local.playbooks, may = "what the playbook may do in this account" }
    collector  = { function = "collect", sid = "CollectorFunction", playbooks = local.playbooks, may = "what collecting evidence may read in this account, and make" }
    remediator = { function = "remediate", sid = "RemediateFunction", playbooks = var.remediate, may = "undoing what a contained principal did in this account" }
    restorer   = { function = "restore", sid = "RestoreFunction", playbooks = var.restore, may = "what undoing the playbook may do in this account" }
    terminator = { function = "terminate", sid = "TerminateFunction", playbooks = var.terminate, may = "terminating what was contained in this account" }
    # The role of this function has another name than the function: in one account, the two roles would have the same.
    # What a playbook without this policy contained is verified by the state machine.
    monitor = { function = "monitor-function", sid = "MonitorFunction", playbooks = local.monitored, may = "what monitoring may read in this account" }
  }

  # Roles of the Identity Center account. They exist beside the roles of playbooks for that account's own resources.
  identity_center_kinds = {
    identity-center-responder = {
      function  = "playbook"
      sid       = "PlaybookFunction"
      playbooks = var.identity_center ? ["iam_principal"] : []
      may       = "what the playbook may do in Identity Center"
    }
    identity-center-monitor = {
      function  = "monitor-function"
      sid       = "MonitorFunction"
      playbooks = var.identity_center ? ["iam_principal"] : []
      may       = "what monitoring may read in Identity Center"
    }
    identity-center-restorer = {
      function  = "restore"
      sid       = "RestoreFunction"
      playbooks = [for name in var.restore : name if var.identity_center && name == "iam_principal"]
      may       = "what undoing the playbook may do in Identity Center"
    }
  }

  keyed = merge(
    merge([for kind, what in local.kinds : {
      for name in what.playbooks : "${kind}/${name}" => merge(what, { kind = kind, playbook = name, suffix = "${kind}-${replace(name, "_", "-")}" })
    }]...),
    merge([for kind, what in local.identity_center_kinds : {
      for name in what.playbooks : "${kind}/${name}" => merge(what, { kind = kind, playbook = name, suffix = kind })
    }]...),
  )

  function_role_arns = {
    for key, role in local.keyed :
    key => "arn:${var.partition}:iam::${var.security_account_id}:role${local.iam.path}${var.name_prefix}-${role.function}-${replace(role.playbook, "_", "-")}"
  }

  # The account is the principal, and the role is a condition. A role ARN as principal turns into an id when it is
  # saved, and would trust nobody after the role is created again (docs/decisions/0021).
  trust_policies = {
    for key, arn in local.function_role_arns : key => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = local.keyed[key].sid
        Effect    = "Allow"
        Principal = { AWS = "arn:${var.partition}:iam::${var.security_account_id}:root" }
        Action    = "sts:AssumeRole"
        Condition = merge(
          { ArnEquals = { "aws:PrincipalArn" = arn } },
          { for operator, keys in { StringEquals = { "aws:PrincipalOrgID" = var.organization_id } } : operator => keys if var.organization_id != null },
        )
      }]
    })
  }

  # The JSON is compact, because IAM counts the characters of a role's inline policies.
  policies = {
    for key, role in local.keyed : key => jsonencode(jsondecode(templatefile("${path.module}/../../playbooks/${role.playbook}/${role.kind}-policy.json", {
      partition            = var.partition
      account_id           = var.account_id
      security_account_id  = var.security_account_id
      name_prefix          = var.name_prefix
      group_kinds          = jsonencode(var.untrack_connections ? ["quarantine", "untrack"] : ["quarantine"])
      untrack_connections  = var.untrack_connections
      rotate               = var.rotate_keys
      remediates           = contains(var.remediate, role.playbook)
      own_role_arns        = join(",", [for arn in local.own_role_arns : jsonencode(arn)])
      quarantine_role_arns = jsonencode([for name in local.quarantine_names : "${local.iam_arn}:role${local.iam.path}${name}"])
    })))
  }

  # What no role of the response may change: the response itself. In this account, these are exactly the existing
  # roles, so that nobody protects a role of their own by its name (docs/decisions/0020). In the security account,
  # whose roles this module does not know, it is the prefix.
  own_role_arns = concat(
    [for role in values(local.keyed) : "${local.iam_arn}:role${local.iam.path}${var.name_prefix}-${role.suffix}"],
    [for name in local.quarantine_names : "${local.iam_arn}:role${local.iam.path}${name}"],
    ["arn:${var.partition}:iam::${var.security_account_id}:role${local.iam.path}${var.name_prefix}-*"],
  )

  quarantine_name  = "${var.name_prefix}-quarantine"
  ssm_name         = "${local.quarantine_name}-ssm"
  quarantine_names = var.forensics ? [local.quarantine_name, local.ssm_name] : [local.quarantine_name]

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
      name        = local.quarantine_name
      description = "GuardDuty response: the role of a quarantined instance. It may do nothing."
      policy_name = "nothing"
      statements  = [{ Sid = "Nothing", Effect = "Deny", Action = "*", Resource = "*" }]
    }
    quarantine_ssm = {
      name        = local.ssm_name
      description = "GuardDuty response: the role of a quarantined instance that forensics may still reach. It may do what the SSM agent calls."
      policy_name = "ssm-agent"
      statements = [
        { Sid = "Agent", Effect = "Allow", Action = local.agent_actions, Resource = "*" },
        { Sid = "NothingElse", Effect = "Deny", NotAction = local.agent_actions, Resource = "*" },
      ]
    }
  }
}
