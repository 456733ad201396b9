# With forensics after containment: a role that may do what the SSM agent calls and nothing else, for instances whose
# quarantine group lets them to the SSM endpoints alone.

locals {
  # The agent's own calls (AWS Systems Manager, "ec2messages and ssmmessages"); no parameter, no bucket, no other service.
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

  ec2_trust = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role" "quarantine_ssm" {
  count = var.forensics ? 1 : 0

  name                 = local.ssm_name
  description          = "GuardDuty response: the role of a quarantined instance that forensics may still reach. It may do what the SSM agent calls."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary
  tags                 = var.tags

  assume_role_policy = local.ec2_trust
}

resource "aws_iam_role_policy" "quarantine_ssm" {
  #checkov:skip=CKV_AWS_290:the SSM agent's calls have no resource ARNs
  #checkov:skip=CKV_AWS_355:the SSM agent's calls have no resource ARNs
  count = var.forensics ? 1 : 0

  name = "ssm-agent"
  role = aws_iam_role.quarantine_ssm[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Agent", Effect = "Allow", Action = local.agent_actions, Resource = "*" },
      { Sid = "NothingElse", Effect = "Deny", NotAction = local.agent_actions, Resource = "*" },
    ]
  })
}

resource "aws_iam_instance_profile" "quarantine_ssm" {
  count = var.forensics ? 1 : 0

  name = local.ssm_name
  path = var.iam.path
  role = aws_iam_role.quarantine_ssm[0].name
  tags = var.tags

  # Never a profile without its denial.
  depends_on = [aws_iam_role_policy.quarantine_ssm]
}
