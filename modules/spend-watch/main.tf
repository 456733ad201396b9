# What GuardDuty costs, before the bill shows it: a budget for this service, and a notification before the free trial
# ends. A budget sees what its own account pays. GuardDuty is billed to each member, so call this module in the
# management account to watch the whole organization.

locals {
  topic_arns = var.notify_topic ? [var.topic_arn] : []
  alerts = concat(
    [for percent in local.thresholds.actual : { type = "ACTUAL", percent = percent }],
    [for percent in local.thresholds.forecast : { type = "FORECASTED", percent = percent }],
  )

  # 09:00 UTC, some days before the last day of the trial.
  last_day  = var.trial_ends_on == null ? null : "${var.trial_ends_on}T00:00:00Z"
  notice_at = var.trial_ends_on == null ? null : timeadd(local.last_day, "${9 - 24 * var.trial_notice_days}h")
  # Only while the date is in the future, because no schedule can be created for the past. The first plan after that
  # morning removes the schedule, and later plans are empty.
  notice_ahead = var.trial_ends_on == null || !var.notify_topic ? false : timecmp(local.notice_at, plantimestamp()) > 0

  notice_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Tell"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = var.topic_arn
      }],
      var.topic_encrypted ? [{
        Sid       = "TopicKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.topic_kms_key_arn
        Condition = { StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = var.topic_arn } }
      }] : [],
    )
  })

  trial_message = join("", [
    "The 30-day free trial of GuardDuty in account ${var.arn_base.account_id} (${var.arn_base.region}) ends on ${coalesce(var.trial_ends_on, "-")}. ",
    "From then on it is billed by events and volume. What it would have cost so far: GuardDuty console, Usage. ",
    "Protection plans are switched off with DISABLED in detector.features.",
  ])
}

resource "aws_budgets_budget" "this" {
  count = var.monthly_limit_usd == null ? 0 : 1

  name         = "${var.name_prefix}-guardduty"
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.monthly_limit_usd)
  limit_unit   = "USD"
  tags         = var.tags

  cost_filter {
    name   = "Service"
    values = ["Amazon GuardDuty"]
  }

  dynamic "notification" {
    for_each = local.alerts

    content {
      notification_type          = notification.value.type
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value.percent
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = var.email_addresses
      subscriber_sns_topic_arns  = local.topic_arns
    }
  }
}

resource "aws_iam_role" "notice" {
  count = local.notice_ahead ? 1 : 0

  name                 = "${var.name_prefix}-trial-notice"
  description          = "EventBridge Scheduler tells the notifications topic that GuardDuty's free trial ends."
  path                 = local.iam.path
  permissions_boundary = local.iam.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Scheduler"
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      # Here, Scheduler names the schedule group, never the schedule.
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = var.arn_base.account_id
          "aws:SourceArn"     = "arn:${var.arn_base.partition}:scheduler:${var.arn_base.region}:${var.arn_base.account_id}:schedule-group/default"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "notice" {
  count = local.notice_ahead ? 1 : 0

  name   = "publish"
  role   = aws_iam_role.notice[0].id
  policy = local.notice_policy
}

resource "aws_scheduler_schedule" "notice" {
  #checkov:skip=CKV_AWS_297:the schedule holds a date and a sentence, no secret; Scheduler encrypts it with its own key
  count = local.notice_ahead ? 1 : 0

  name                         = "${var.name_prefix}-trial-notice"
  description                  = "Once: GuardDuty's free trial ends on ${var.trial_ends_on}."
  schedule_expression          = "at(${formatdate("YYYY-MM-DD'T'hh:mm:ss", local.notice_at)})"
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = var.topic_arn
    role_arn = aws_iam_role.notice[0].arn
    input    = local.trial_message

    retry_policy {
      maximum_event_age_in_seconds = 86400
      maximum_retry_attempts       = 185
    }
  }

  depends_on = [aws_iam_role_policy.notice]
}

# A warning in plans, and never an error: during the last week, and on the last day.
check "guardduty_trial" {
  assert {
    condition     = var.trial_ends_on == null ? true : timecmp(plantimestamp(), timeadd(local.last_day, "-168h")) < 0 || timecmp(plantimestamp(), timeadd(local.last_day, "24h")) >= 0
    error_message = "The free trial of GuardDuty ends on ${coalesce(var.trial_ends_on, "-")}: from then on it is billed. Look at Usage in the GuardDuty console now."
  }
}
