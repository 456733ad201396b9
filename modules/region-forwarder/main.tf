# Forwards events from another Region or account to the event bus of the aggregation Region. In the security account
# these are findings and changes, in member accounts only changes (GuardDuty shows their findings in the security
# account too). EventBridge forwards an event only once, so the bus of the aggregation Region is the last stop, and
# its rules answer.

data "aws_caller_identity" "current" {}

module "forwarder" {
  source = "../forwarder"

  for_member_accounts = var.for_member_accounts
  account_id          = local.account_id
  region              = local.region
}

locals {
  account_id = data.aws_caller_identity.current.account_id

  bus = {
    partition  = split(":", module.forwarder.target.arn)[1]
    region     = split(":", module.forwarder.target.arn)[3]
    account_id = split(":", module.forwarder.target.arn)[4]
  }

  # The Region is read from an ARN that this module owns, and not from a data source: with depends_on in the module call
  # that would be read after the plan, and the role, whose name has the Region, would be replaced for it. There is no rule
  # where an empty state is only refreshed.
  region     = try(split(":", values(aws_cloudwatch_event_rule.this)[0].arn)[3], "none")
  topic_name = "${var.for_member_accounts.name_prefix}-forwarder"
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = module.forwarder.rules

  name          = each.value.name
  description   = each.value.description
  event_pattern = each.value.pattern
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = module.forwarder.rules

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = module.forwarder.target.id
  arn       = module.forwarder.target.arn
  role_arn  = aws_iam_role.this.arn

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
  retry_policy {
    maximum_event_age_in_seconds = module.forwarder.target.maximum_event_age_in_seconds
    maximum_retry_attempts       = module.forwarder.target.maximum_retry_attempts
  }

  depends_on = [aws_iam_role_policy.this]

  lifecycle {
    precondition {
      condition     = local.bus.region != local.region || local.bus.account_id != local.account_id
      error_message = "The event bus of for_member_accounts is that of this very account and Region: nothing is to be forwarded here, the response's own rules are on it. Use this module in member accounts, and modules/region in the security account's other Regions."
    }
    precondition {
      condition     = each.key != "findings" || local.bus.account_id == local.account_id
      error_message = "Findings must not be forwarded from a member account (${local.account_id}; the bus is of ${local.bus.account_id}): GuardDuty shows a member's findings in the security account, and its bus takes none from other accounts. Give this module the output for_member_accounts of the root module."
    }
  }
}

resource "aws_iam_role" "this" {
  name                 = module.forwarder.role.name
  description          = module.forwarder.role.description
  path                 = module.forwarder.role.path
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = module.forwarder.role.trust_policy
  tags                 = var.tags
}

resource "aws_iam_role_policy" "this" {
  name   = module.forwarder.role.policy_name
  role   = aws_iam_role.this.id
  policy = module.forwarder.role.policy
}

resource "aws_sqs_queue" "undelivered" {
  name                      = module.forwarder.queue.name
  message_retention_seconds = module.forwarder.queue.message_retention_seconds
  sqs_managed_sse_enabled   = true
  policy                    = module.forwarder.queue.policy
  tags                      = var.tags
}

resource "aws_cloudwatch_metric_alarm" "undelivered" {
  alarm_name          = module.forwarder.alarm.name
  alarm_description   = module.forwarder.alarm.description
  namespace           = module.forwarder.alarm.namespace
  metric_name         = module.forwarder.alarm.metric_name
  dimensions          = { QueueName = aws_sqs_queue.undelivered.name }
  statistic           = module.forwarder.alarm.statistic
  period              = module.forwarder.alarm.period
  evaluation_periods  = module.forwarder.alarm.evaluation_periods
  threshold           = module.forwarder.alarm.threshold
  comparison_operator = module.forwarder.alarm.comparison_operator
  treat_missing_data  = module.forwarder.alarm.treat_missing_data
  alarm_actions       = concat(var.alarm_topic_arns, aws_sns_topic.alarms[*].arn)
  tags                = var.tags
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:carries this alarm's own words and no finding; alarms cannot publish under the key of AWS, and a key of its own in every Region would cost more than all else here
  count = length(var.email_addresses) > 0 ? 1 : 0

  name = local.topic_name
  tags = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "ThisAlarm"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = "arn:${local.bus.partition}:sns:${local.region}:${local.account_id}:${local.topic_name}"
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account_id }
          ArnEquals    = { "aws:SourceArn" = "arn:${local.bus.partition}:cloudwatch:${local.region}:${local.account_id}:alarm:${module.forwarder.alarm.name}" }
        }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = "arn:${local.bus.partition}:sns:${local.region}:${local.account_id}:${local.topic_name}"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.email_addresses

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = each.value
}
