# The roles and instance profiles that a quarantined instance gets.

resource "aws_iam_role" "quarantine" {
  name                 = local.quarantine["quarantine"].name
  description          = local.quarantine["quarantine"].description
  path                 = local.quarantine["quarantine"].path
  permissions_boundary = local.quarantine["quarantine"].permissions_boundary
  assume_role_policy   = local.quarantine["quarantine"].trust_policy
  max_session_duration = local.quarantine["quarantine"].max_session_duration
  tags                 = var.tags
}

resource "aws_iam_role_policy" "quarantine" {
  name   = local.quarantine["quarantine"].policy_name
  role   = aws_iam_role.quarantine.id
  policy = local.quarantine["quarantine"].policy
}

resource "aws_iam_instance_profile" "quarantine" {
  name = local.quarantine["quarantine"].name
  path = local.quarantine["quarantine"].path
  role = aws_iam_role.quarantine.name
  tags = var.tags

  # The profile must never exist without the policy that denies everything.
  depends_on = [aws_iam_role_policy.quarantine]
}

resource "aws_iam_role" "quarantine_ssm" {
  count = contains(keys(local.quarantine), "quarantine_ssm") ? 1 : 0

  name                 = local.quarantine["quarantine_ssm"].name
  description          = local.quarantine["quarantine_ssm"].description
  path                 = local.quarantine["quarantine_ssm"].path
  permissions_boundary = local.quarantine["quarantine_ssm"].permissions_boundary
  assume_role_policy   = local.quarantine["quarantine_ssm"].trust_policy
  max_session_duration = local.quarantine["quarantine_ssm"].max_session_duration
  tags                 = var.tags
}

resource "aws_iam_role_policy" "quarantine_ssm" {
  #checkov:skip=CKV_AWS_290:the SSM agent's calls have no resource ARNs
  #checkov:skip=CKV_AWS_355:the SSM agent's calls have no resource ARNs
  count = contains(keys(local.quarantine), "quarantine_ssm") ? 1 : 0

  name   = local.quarantine["quarantine_ssm"].policy_name
  role   = aws_iam_role.quarantine_ssm[0].id
  policy = local.quarantine["quarantine_ssm"].policy
}

resource "aws_iam_instance_profile" "quarantine_ssm" {
  count = contains(keys(local.quarantine), "quarantine_ssm") ? 1 : 0

  name = local.quarantine["quarantine_ssm"].name
  path = local.quarantine["quarantine_ssm"].path
  role = aws_iam_role.quarantine_ssm[0].name
  tags = var.tags

  # The profile must never exist without the policy that denies everything.
  depends_on = [aws_iam_role_policy.quarantine_ssm]
}
