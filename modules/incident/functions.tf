# Two functions. The function "incident" keeps the record, notifies people and derives the incident's status from the verdicts; it never changes a
# resource. The function "watchdog" is the reconciler: it notices failed executions, incidents without progress, and
# events that were not delivered, and it gives out the checks of monitoring.

locals {
  watchdog_timeout_seconds = 120
  in_vpc                   = length(var.functions.vpc.subnet_ids) > 0

  function_names = {
    incident = "${var.name_prefix}-incident"
    watchdog = "${var.name_prefix}-watchdog"
  }
  # function => its module in guardduty_response.functions
  function_modules = {
    incident = "incident"
    watchdog = "reconcile"
  }
  function_descriptions = {
    incident = "GuardDuty response: incident record, decisions and messages."
    watchdog = "GuardDuty response: nothing ends in silence."
  }

  # The permissions of both functions. Neither may assume a role, and only the watchdog may invoke functions: those that
  # verify, and those that contain by an alias that runs one step, which takes denials that are over out of roles.
  shared_statements = {
    for name in keys(local.function_names) : name => concat(
      [
        {
          Sid      = "IncidentRecord"
          Effect   = "Allow"
          Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:ConditionCheckItem"]
          Resource = local.table_arn
        },
        {
          Sid      = "IncidentsInProgress"
          Effect   = "Allow"
          Action   = "dynamodb:Query"
          Resource = [local.table_arn, "${local.table_arn}/index/incidents"]
        },
        # A step that waits gives its lease back meanwhile, a batch of checks its slot, and who ends the monitoring of a
        # resource deletes the names by which events find it. Nothing else is ever deleted, no item of a containment
        # either: the attributes by which an index finds one are removed instead. Without the test for Null, a request
        # that names no key would pass the ForAllValues test.
        {
          Sid      = "Leases"
          Effect   = "Allow"
          Action   = "dynamodb:DeleteItem"
          Resource = local.table_arn
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
          Resource  = local.table_arn
          Condition = { "ForAnyValue:StringEquals" = { "dynamodb:LeadingKeys" = ["CONFIG", "CONTROL"] } }
        },
        {
          Sid      = "Evidence"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject"]
          Resource = "${local.bucket_arn}/incidents/*"
        },
        {
          Sid      = "Tell"
          Effect   = "Allow"
          Action   = "sns:Publish"
          Resource = distinct([var.topic_arns.notifications, var.topic_arns.escalations])
        },
        {
          Sid      = "Executions"
          Effect   = "Allow"
          Action   = "states:DescribeExecution"
          Resource = ["${local.execution_arn_base}:${var.name_prefix}-incident:*", "${local.execution_arn_base}:${var.name_prefix}-notice:*"]
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
          Resource = ["${local.log_group_arn_base}:/aws/lambda/${local.function_names[name]}:*", aws_cloudwatch_log_group.function][0]
        },
        {
          Sid      = "Traces"
          Effect   = "Allow"
          Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
          Resource = "*"
        },
      ],
      [
        # Who publishes to an encrypted topic uses its key.
        for statement in [{
          Sid       = "TopicKeys"
          Effect    = "Allow"
          Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource  = distinct(var.topic_keys[*].kms_key_arn)
          Condition = { StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = distinct(var.topic_keys[*].topic_arn) } }
        }] : statement if length(var.topic_keys) > 0
      ],
      var.former_key_statements,
      [
        for statement in [{
          Sid      = "NetworkInterfacesOfTheFunction"
          Effect   = "Allow"
          Action   = ["ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"]
          Resource = "*"
        }] : statement if local.in_vpc
      ],
    )
  }

  function_policies = {
    incident = jsonencode({ Version = "2012-10-17", Statement = local.shared_statements.incident })
    watchdog = jsonencode({
      Version = "2012-10-17"
      Statement = concat(local.shared_statements.watchdog, [
        {
          Sid      = "StartAgain"
          Effect   = "Allow"
          Action   = "states:StartExecution"
          Resource = values(local.machine_arns)
        },
        {
          Sid      = "MessagesThatWait"
          Effect   = "Allow"
          Action   = "dynamodb:Query"
          Resource = "${local.table_arn}/index/outbox"
        },
        {
          Sid      = "WhoIsSubscribed"
          Effect   = "Allow"
          Action   = "sns:ListSubscriptionsByTopic"
          Resource = distinct([var.topic_arns.notifications, var.topic_arns.escalations])
        },
        {
          # For incidents of release 0.1.0 that no index holds.
          Sid      = "SearchOldRecords"
          Effect   = "Allow"
          Action   = "dynamodb:Scan"
          Resource = local.table_arn
        },
        {
          Sid      = "ReadUndelivered"
          Effect   = "Allow"
          Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
          Resource = local.undelivered
        },
        {
          Sid      = "GiveUp"
          Effect   = "Allow"
          Action   = "sqs:SendMessage"
          Resource = local.dead_letters
        },
        ], [
        for statement in [
          {
            Sid      = "ChecksThatAreDue"
            Effect   = "Allow"
            Action   = "dynamodb:Query"
            Resource = "${local.table_arn}/index/due"
          },
          {
            Sid      = "GiveOutChecks"
            Effect   = "Allow"
            Action   = "lambda:InvokeFunction"
            Resource = values(var.monitor_functions)
          },
        ] : statement if length(var.monitor_functions) > 0
        ], [
        for statement in [
          {
            Sid      = "RolesThatAreDue"
            Effect   = "Allow"
            Action   = "dynamodb:Query"
            Resource = "${local.table_arn}/index/due"
          },
          {
            Sid      = "TakeOutExpiredDenials"
            Effect   = "Allow"
            Action   = "lambda:InvokeFunction"
            Resource = values(var.expiry_functions)
          },
        ] : statement if length(var.expiry_functions) > 0
      ])
    })
  }

  function_environments = {
    incident = {
      GDR_TOPIC_ARN            = var.topic_arns.notifications
      GDR_ESCALATION_TOPIC_ARN = var.topic_arns.escalations
    }
    watchdog = merge(
      {
        GDR_TOPIC_ARN            = var.topic_arns.notifications
        GDR_ESCALATION_TOPIC_ARN = var.topic_arns.escalations
        GDR_INCIDENT_MACHINE_ARN = local.machine_arns.incident
        GDR_NOTICE_MACHINE_ARN   = local.machine_arns.notice
        GDR_DEAD_LETTERS_URL     = aws_sqs_queue.dead_letters.url
        # topic => the number of confirmed subscriptions below which there is an alarm
        GDR_EXPECTED_SUBSCRIPTIONS = jsonencode(var.expected_subscriptions)
      },
      length(var.expiry_functions) == 0 ? {} : {
        # playbook => the alias of the function that takes denials out of roles whose sessions are over
        GDR_PLAYBOOK_FUNCTIONS = jsonencode(var.expiry_functions)
      },
      length(var.monitor_functions) == 0 ? {} : {
        # playbook => the function that verifies its containments
        GDR_MONITOR_FUNCTIONS = jsonencode(var.monitor_functions)
        GDR_MONITOR_IN_FLIGHT = tostring(var.watch.checks_in_flight)
      },
    )
  }
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_338:retention is the caller's choice (evidence.log_retention_days, a year by default)
  for_each = local.function_names

  name              = "/aws/lambda/${each.value}"
  retention_in_days = var.evidence.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "function" {
  for_each = local.function_names

  name                 = each.value
  description          = local.function_descriptions[each.key]
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "function" {
  #checkov:skip=CKV_AWS_290:X-Ray and a function's network interfaces have no resource ARNs; everything else is scoped
  #checkov:skip=CKV_AWS_355:X-Ray and a function's network interfaces have no resource ARNs; everything else is scoped
  for_each = local.function_names

  name   = each.key
  role   = aws_iam_role.function[each.key].id
  policy = local.function_policies[each.key]
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_115:reserved concurrency would take capacity from the account and could throttle the response
  #checkov:skip=CKV_AWS_116:the watchdog has a queue; incident is invoked synchronously by the machines, which catch and record every error
  #checkov:skip=CKV_AWS_117:a VPC is the caller's choice (functions.vpc); the functions talk to AWS APIs only
  #checkov:skip=CKV_AWS_272:the zip is built reproducibly and committed; its hash is in the plan
  for_each = local.function_names

  function_name    = each.value
  description      = local.function_descriptions[each.key]
  role             = aws_iam_role.function[each.key].arn
  handler          = "guardduty_response.functions.${local.function_modules[each.key]}.handler"
  runtime          = "python3.13"
  architectures    = [var.functions.architecture]
  memory_size      = var.functions.memory_size
  timeout          = each.key == "watchdog" ? local.watchdog_timeout_seconds : 60
  filename         = var.zips[each.key]
  source_code_hash = filebase64sha256(var.zips[each.key])
  kms_key_arn      = var.kms_key_arn
  tags             = var.tags

  environment {
    variables = merge(local.function_environment, local.function_environments[each.key])
  }

  tracing_config {
    mode = "Active"
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  dynamic "dead_letter_config" {
    for_each = each.key == "watchdog" ? [aws_sqs_queue.dead_letters.arn] : []

    content {
      target_arn = dead_letter_config.value
    }
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [var.functions.vpc] : []

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  depends_on = [aws_iam_role_policy.function]
}
