# The state machine "incident" opens, decides, changes resources through the playbooks' functions, and verifies. The
# state machine "notice" records and notifies. It has no path that changes a resource, and its role may invoke no
# function that could (docs/decisions/0012).

locals {
  machine_functions = {
    incident = concat([aws_lambda_function.this["incident"].arn], sort(distinct(flatten([for phases in var.playbook_functions : values(phases)]))))
    notice   = [aws_lambda_function.this["incident"].arn]
  }
  machine_definitions = {
    incident = templatefile("${path.module}/incident.asl.json", {
      partition             = var.partition
      incident_function_arn = aws_lambda_function.this["incident"].arn
      playbook_functions    = jsonencode(var.playbook_functions)
      timeout_seconds       = var.timeout_seconds
    })
    notice = templatefile("${path.module}/notice.asl.json", {
      partition             = var.partition
      incident_function_arn = aws_lambda_function.this["incident"].arn
    })
  }
  machine_policies = {
    for name, functions in local.machine_functions : name => jsonencode({
      Version = "2012-10-17"
      Statement = concat([
        for statement in [{
          Sid      = "IncidentsOfTheirOwn"
          Effect   = "Allow"
          Action   = "states:StartExecution"
          Resource = local.machine_arns["incident"]
        }] : statement if name == "incident"
        ], [
        {
          Sid      = "Verbs"
          Effect   = "Allow"
          Action   = "lambda:InvokeFunction"
          Resource = flatten([for arn in functions : [arn, "${arn}:*"]])
        },
        {
          Sid      = "LogDelivery"
          Effect   = "Allow"
          Action   = ["logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups"]
          Resource = "*"
        },
        {
          Sid      = "Traces"
          Effect   = "Allow"
          Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"]
          Resource = "*"
        },
      ])
    })
  }
}

resource "aws_cloudwatch_log_group" "machine" {
  #checkov:skip=CKV_AWS_338:retention is the caller's choice (evidence.log_retention_days, a year by default)
  for_each = local.machine_arns

  name              = "/aws/vendedlogs/states/${var.name_prefix}-${each.key}"
  retention_in_days = var.evidence.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "machine" {
  for_each = local.machine_arns

  name                 = "${var.name_prefix}-${each.key}-machine"
  description          = "Runs the state machine ${var.name_prefix}-${each.key}; may invoke its functions, and the incident machine start itself."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "states.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "machine" {
  #checkov:skip=CKV_AWS_290:log delivery and X-Ray have no resource ARNs; invoking is scoped to the machine's functions
  #checkov:skip=CKV_AWS_355:log delivery and X-Ray have no resource ARNs; invoking is scoped to the machine's functions
  #checkov:skip=CKV_AWS_289:logs:PutResourcePolicy is what Step Functions needs to log; it has no resource ARN
  for_each = local.machine_arns

  name   = "machine"
  role   = aws_iam_role.machine[each.key].id
  policy = local.machine_policies[each.key]
}

resource "aws_sfn_state_machine" "this" {
  #checkov:skip=CKV_AWS_285:logging is on for every event; execution data stays out of the log because findings name people
  for_each = local.machine_arns

  name       = "${var.name_prefix}-${each.key}"
  type       = "STANDARD"
  role_arn   = aws_iam_role.machine[each.key].arn
  definition = local.machine_definitions[each.key]
  tags       = var.tags

  # The log has no execution data, because findings name people and addresses. They stay in the bucket and the table.
  logging_configuration {
    level                  = "ALL"
    include_execution_data = false
    log_destination        = "${aws_cloudwatch_log_group.machine[each.key].arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  depends_on = [aws_iam_role_policy.machine]
}
