# Internal: the root module calls this module. Its variables may change in any release.
#
# A function that changes or collects: one playbook, one job, and a role of its own that may assume one kind of member
# role and nothing else (docs/decisions/0001).

locals {
  slug = replace(var.playbook, "_", "-")
  name = "${var.name_prefix}-${var.job}-${local.slug}"

  member_role = "${trimprefix(var.iam.path, "/")}${var.name_prefix}-${var.member_role}-${local.slug}"
  # Both roles may be in one account, so they never share a name.
  role_name = var.job == var.member_role ? "${var.name_prefix}-${var.job}-function-${local.slug}" : local.name
  in_vpc    = length(var.functions.vpc.subnet_ids) > 0

  # Written by name, so that a first plan shows the policies. Each also names its resource, which comes first then.
  log_group_arn = ["arn:${var.arn_base.partition}:logs:${var.arn_base.region}:${var.arn_base.account_id}:log-group:/aws/lambda/${local.name}", aws_cloudwatch_log_group.this.arn][0]
  function_arn  = ["arn:${var.arn_base.partition}:lambda:${var.arn_base.region}:${var.arn_base.account_id}:function:${local.name}", aws_lambda_function.this.arn][0]
  org_only      = { for key, value in { Condition = { StringEquals = { "aws:ResourceOrgID" = var.organization_id } } } : key => value if var.organization_id != null }

  environment = merge(
    var.environment,
    {
      GDR_PLAYBOOK = var.playbook
      # This function's member role, whichever it is; the name is from the first release.
      GDR_RESPONDER_ROLE = local.member_role
    },
    var.member_role == "monitor" ? { GDR_MONITOR_ROLE = local.member_role } : {},
    var.topic_arns == null ? {} : {
      GDR_TOPIC_ARN            = var.topic_arns.notifications
      GDR_ESCALATION_TOPIC_ARN = var.topic_arns.escalations
    },
    { for name, value in { GDR_ORGANIZATION_ID = var.organization_id } : name => value if value != null },
  )

  tell = var.topic_arns == null ? [] : [{
    Sid      = "Tell"
    Effect   = "Allow"
    Action   = "sns:Publish"
    Resource = distinct([var.topic_arns.notifications, var.topic_arns.escalations])
  }]
  # What is known of a topic, and what people will read, is written by who sends messages.
  silent = var.topic_arns != null ? [] : [{
    Sid       = "OutboxIsNotItsOwn"
    Effect    = "Deny"
    Action    = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
    Resource  = var.table_arn
    Condition = { "ForAnyValue:StringLike" = { "dynamodb:LeadingKeys" = ["OUTBOX#*", "TEXT#*"] } }
  }]
  # Who publishes to an encrypted topic uses its key.
  topic_keys = [
    for statement in [{
      Sid       = "TopicKeys"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = distinct(var.topic_keys[*].kms_key_arn)
      Condition = { StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = distinct(var.topic_keys[*].topic_arn) } }
    }] : statement if var.topic_arns != null && length(var.topic_keys) > 0
  ]

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        merge(
          {
            Sid      = "OwnMemberRole"
            Effect   = "Allow"
            Action   = "sts:AssumeRole"
            Resource = "arn:${var.arn_base.partition}:iam::*:role/${local.member_role}"
          },
          local.org_only,
        ),
        # The index finds what a release before 0.2 stored of a resource.
        {
          Sid      = "IncidentRecord"
          Effect   = "Allow"
          Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:ConditionCheckItem", "dynamodb:Query"]
          Resource = [var.table_arn, "${var.table_arn}/index/incidents"]
        },
        # A step that waits gives its lease back meanwhile, a batch of checks its slot, and who ends the monitoring of a
        # resource deletes the names by which events find it. Nothing else is ever deleted, no item of a containment
        # either: the attributes by which an index finds one are removed instead. Without the test for Null, a request
        # that names no key would pass the ForAllValues test.
        {
          Sid      = "Leases"
          Effect   = "Allow"
          Action   = "dynamodb:DeleteItem"
          Resource = var.table_arn
          Condition = {
            "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["MONITORING", "RESOURCE#*", "WATCHED#*"] }
            Null                      = { "dynamodb:LeadingKeys" = "false" }
          }
        },
        # Terraform and people write these, the functions only read them
        # (docs/decisions/0007).
        {
          Sid       = "ConfigurationIsReadOnly"
          Effect    = "Deny"
          Action    = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
          Resource  = var.table_arn
          Condition = { "ForAnyValue:StringEquals" = { "dynamodb:LeadingKeys" = ["CONFIG", "CONTROL"] } }
        },
        {
          Sid      = "Evidence"
          Effect   = "Allow"
          Action   = var.evidence_actions
          Resource = "${var.bucket_arn}/incidents/*"
        },
        {
          Sid      = "IsTheLeaseHolderAlive"
          Effect   = "Allow"
          Action   = "states:DescribeExecution"
          Resource = "arn:${var.arn_base.partition}:states:${var.arn_base.region}:${var.arn_base.account_id}:execution:${var.name_prefix}-incident:*"
        },
        {
          Sid      = "Key"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = var.kms_key_arn
        },
        {
          Sid      = "OwnLog"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${local.log_group_arn}:*"
        },
        {
          Sid      = "Traces"
          Effect   = "Allow"
          Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
          Resource = "*"
        },
      ],
      local.tell,
      local.silent,
      local.topic_keys,
      var.more_statements,
      [
        for statement in [{
          Sid      = "NetworkInterfacesOfTheFunction"
          Effect   = "Allow"
          Action   = ["ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"]
          Resource = "*"
        }] : statement if local.in_vpc
      ],
    )
  })
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:retention is the caller's choice (evidence.log_retention_days, a year by default)
  name              = "/aws/lambda/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "this" {
  name                 = local.role_name
  description          = "${var.description} May assume the ${var.member_role} role of ${var.playbook} and nothing else."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "this" {
  #checkov:skip=CKV_AWS_290:X-Ray and a function's network interfaces have no resource ARNs; everything else is scoped
  #checkov:skip=CKV_AWS_355:X-Ray and a function's network interfaces have no resource ARNs; everything else is scoped
  name   = var.job
  role   = aws_iam_role.this.id
  policy = local.policy
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_115:reserved concurrency takes capacity from the account and can throttle the response: by option, of monitoring alone
  #checkov:skip=CKV_AWS_116:invoked synchronously, by the state machine that records every error or by a person who sees it; what monitoring loses is due again
  #checkov:skip=CKV_AWS_117:a VPC is the caller's choice (functions.vpc); the function talks to AWS APIs only
  #checkov:skip=CKV_AWS_272:the zip is built reproducibly and committed; its hash is in the plan
  function_name    = local.name
  description      = "GuardDuty response: ${var.description}"
  role             = aws_iam_role.this.arn
  handler          = "guardduty_response.functions.${var.handler}.handler"
  runtime          = "python3.13"
  architectures    = [var.functions.architecture]
  memory_size      = var.functions.memory_size
  timeout          = 120
  filename         = var.zip
  source_code_hash = filebase64sha256(var.zip)
  kms_key_arn      = var.kms_key_arn
  tags             = var.tags

  reserved_concurrent_executions = var.reserved_concurrency

  environment {
    variables = local.environment
  }

  tracing_config {
    mode = "Active"
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [var.functions.vpc] : []

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  depends_on = [aws_iam_role_policy.this]
}

# Who may invoke the function by an alias alone has it run the step of that name alone (functions/runtime.py).
resource "aws_lambda_alias" "step" {
  for_each = var.step_aliases

  name             = each.value
  description      = "Runs the step ${each.value} and no other."
  function_name    = aws_lambda_function.this.function_name
  function_version = "$LATEST"
}

# A batch that failed, or was throttled for five minutes, is not repeated by Lambda: its claims end, and the reconciler
# gives it out again.
resource "aws_lambda_function_event_invoke_config" "this" {
  count = var.asynchronous ? 1 : 0

  function_name                = aws_lambda_function.this.function_name
  maximum_event_age_in_seconds = 300
  maximum_retry_attempts       = 0
}

# An event that was throttled for longer than its maximum age is dropped without an error.
resource "aws_cloudwatch_metric_alarm" "dropped" {
  count = var.asynchronous ? 1 : 0

  alarm_name          = "${local.name}-dropped"
  alarm_description   = "Lambda dropped invocations of ${local.name}, which had been throttled for minutes. Raise the reserved concurrency of the function, or the concurrency of the account."
  namespace           = "AWS/Lambda"
  metric_name         = "AsyncEventsDropped"
  dimensions          = { FunctionName = aws_lambda_function.this.function_name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "${local.name}-errors"
  alarm_description   = "${var.alarm} Look at its incident record and at /aws/lambda/${local.name}."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.this.function_name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  tags                = var.tags
}
