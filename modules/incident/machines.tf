# The state machine "incident" opens, decides, changes resources through the playbooks' functions, and verifies. The
# state machine "notice" records and notifies. It has no path that changes a resource: its role may invoke no function
# that could, and start nothing but the machine "incident", which decides again (docs/decisions/0012, 0028).

locals {
  machine_functions = {
    incident = concat([local.function_arns.incident], sort(distinct(flatten([for phases in var.playbook_functions : values(phases)]))))
    notice   = [local.function_arns.incident]
  }
  # What many states share is given once (machine-texts.json), and goes into the definitions without its outer brackets
  # (docs/decisions/0028). finding_names: account, Region, id and eventLastSeen of a finding, as decision/finding.py reads
  # them, or nothing. retry: a start that Lambda throttles, or a fault of the service, is repeated for at least 15
  # minutes (with full jitter the mean delay is half of MaxDelaySeconds); what can pass in a function, six times.
  # retry_native: four times within seconds, calls that containment does not depend on. retry_start: 120 times, the
  # start of an incident.
  shared_texts = { for name, text in jsondecode(file("${path.module}/machine-texts.json")) : name => substr(jsonencode(text), 1, length(jsonencode(text)) - 2) }

  # A resource's type => the function that will probably be needed. Only a guess: the playbook is chosen when the incident opens.
  warm_functions = merge([
    for name, functions in var.playbook_functions : {
      for answer in yamldecode(file("${path.module}/../../playbooks/${name}/playbook.yaml")).answers : answer.resource_type => functions.act
    }
  ]...)
  machine_texts = merge(local.shared_texts, {
    partition             = var.partition
    invoke                = "arn:${var.partition}:states:::lambda:invoke"
    incident_function_arn = local.function_arns.incident
    table_name            = aws_dynamodb_table.incidents.name
  })
  machine_definitions = {
    incident = templatefile("${path.module}/incident.asl.json", merge(local.machine_texts, {
      playbook_functions = jsonencode(var.playbook_functions)
      warm_functions     = "{${join(", ", [for type, arn in local.warm_functions : "'${type}': '${arn}'"])}}"
      timeout_seconds    = var.timeout_seconds
    }))
    notice = templatefile("${path.module}/notice.asl.json", merge(local.machine_texts, {
      incident_machine_arn = local.machine_arns.incident
      look_after_seconds   = var.look_after_seconds
      timeout_seconds      = var.look_after_seconds + 10800 # three throttled starts
    }))
  }
  # What a machine does itself in the table. Neither can touch a lease or a configuration.
  machine_table_actions = {
    incident = { actions = ["dynamodb:PutItem", "dynamodb:UpdateItem"], keys = ["INCIDENT#*", "EXECUTION#*"] }
    notice   = { actions = ["dynamodb:GetItem"], keys = ["INCIDENT#*"] }
  }
  machine_policies = {
    for name, functions in local.machine_functions : name => jsonencode({
      Version = "2012-10-17"
      Statement = concat([
        {
          # incident: for what belongs to another playbook. notice: for what the rule `act` did not start.
          Sid      = "IncidentsOfTheirOwn"
          Effect   = "Allow"
          Action   = "states:StartExecution"
          Resource = local.machine_arns["incident"]
        },
        {
          Sid       = "Claims"
          Effect    = "Allow"
          Action    = local.machine_table_actions[name].actions
          Resource  = local.table_arn
          Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = local.machine_table_actions[name].keys }, Null = { "dynamodb:LeadingKeys" = "false" } }
        },
        {
          # The table's key. Only DynamoDB uses it.
          Sid       = "TableKey"
          Effect    = "Allow"
          Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource  = var.kms_key_arn
          Condition = { StringLike = { "kms:ViaService" = "dynamodb.*" } }
        },
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
      ], var.former_key_statements)
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
  description          = "Runs the state machine ${var.name_prefix}-${each.key}; may invoke its functions, claim findings, and start the incident machine."
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
