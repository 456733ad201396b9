# Forwards events from another Region or account to the event bus of the aggregation Region. In the security account
# these are findings and changes, in member accounts only changes (GuardDuty shows their findings in the security
# account too). EventBridge forwards an event only once, so the bus of the aggregation Region is the last stop, and
# its rules answer.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

module "patterns" {
  source = "../event-patterns"

  name_prefix = var.name_prefix
  playbooks   = local.playbooks
}

locals {
  playbooks = var.playbooks == null ? toset([for file in fileset("${path.module}/../../playbooks", "*/playbook.yaml") : dirname(file)]) : var.playbooks

  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id

  bus = {
    region     = split(":", var.event_bus_arn)[3]
    account_id = split(":", var.event_bus_arn)[4]
  }

  rules = merge(
    {
      for name in ["findings"] : name => { pattern = module.patterns.findings, description = "Every unarchived finding, on to the response's home Region.", event = "findings" }
      if contains(var.events, "findings")
    },
    {
      for change in module.patterns.changes : change.name => { pattern = change.pattern, description = "API calls that can undo a containment of ${change.playbook}, of anybody but the response, on to its home Region.", event = "changes" }
      if contains(var.events, "changes")
    },
  )
  rule_arns = [for rule in aws_cloudwatch_event_rule.this : rule.arn]

  # The Region is read from an ARN that this module owns, and not from a data source: with depends_on in the module call
  # that would be read after the plan, and the role, whose name has the Region, would be replaced for it. There is no rule
  # where an empty state is only refreshed.
  region     = try(split(":", values(aws_cloudwatch_event_rule.this)[0].arn)[3], "none")
  queue_name = "${var.name_prefix}-undelivered"
  topic_name = "${var.name_prefix}-forwarder"
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.rules

  name          = "${var.name_prefix}-forward-${each.key}"
  description   = each.value.description
  event_pattern = each.value.pattern
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = local.rules

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "home"
  arn       = var.event_bus_arn
  role_arn  = aws_iam_role.this.arn

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  depends_on = [aws_iam_role_policy.this]

  lifecycle {
    precondition {
      condition     = local.bus.region != local.region || local.bus.account_id != local.account_id
      error_message = "event_bus_arn is the bus of this very account and Region: nothing is to be forwarded here, the response's own rules are on it. Use this module in the other Regions, and in member accounts."
    }
    precondition {
      condition     = each.value.event == "changes" || local.bus.account_id == local.account_id
      error_message = "events must not contain \"findings\" in a member account (${local.account_id}; the bus is of ${local.bus.account_id}): GuardDuty shows a member's findings in the security account, and its bus takes none from other accounts. Use events = [\"changes\"]."
    }
  }
}

# The name contains the Region, because IAM is shared by all Regions.
resource "aws_iam_role" "this" {
  name                 = "${var.name_prefix}-forwarder-${local.region}"
  description          = "Sends what the GuardDuty response listens to on to its home Region."
  path                 = local.iam.path
  permissions_boundary = local.iam.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TheseRules"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnEquals    = { "aws:SourceArn" = local.rule_arns }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "forward"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Forward"
      Effect   = "Allow"
      Action   = "events:PutEvents"
      Resource = var.event_bus_arn
    }]
  })
}

# Events that could not be forwarded within a day. Only people read this queue.
resource "aws_sqs_queue" "undelivered" {
  name                      = local.queue_name
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Rules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = "arn:${local.partition}:sqs:${local.region}:${local.account_id}:${local.queue_name}"
        Condition = { ArnEquals = { "aws:SourceArn" = local.rule_arns } }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = "arn:${local.partition}:sqs:${local.region}:${local.account_id}:${local.queue_name}"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_cloudwatch_metric_alarm" "undelivered" {
  alarm_name          = local.queue_name
  alarm_description   = "Findings or API calls of this Region did not reach the GuardDuty response in ${local.bus.region} within a day: read ${local.queue_name}, and look for the findings in GuardDuty."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.undelivered.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
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
        Resource  = "arn:${local.partition}:sns:${local.region}:${local.account_id}:${local.topic_name}"
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account_id }
          ArnEquals    = { "aws:SourceArn" = "arn:${local.partition}:cloudwatch:${local.region}:${local.account_id}:alarm:${local.queue_name}" }
        }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = "arn:${local.partition}:sns:${local.region}:${local.account_id}:${local.topic_name}"
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
