locals {
  alarms = {
    dead-letters = {
      description = "Events or findings that even the watchdog could not handle lie in ${var.name_prefix}-dead-letters: read them, and look for the finding in GuardDuty."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.dead_letters.name }
      statistic   = "Maximum"
    }
    undelivered = {
      description = "EventBridge could not deliver findings within a day; the watchdog is working through ${var.name_prefix}-undelivered."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.undelivered.name }
      statistic   = "Maximum"
    }
    incident-failed = {
      description = "An execution of ${var.name_prefix}-incident failed: its incident may not be contained."
      namespace   = "AWS/States"
      metric      = "ExecutionsFailed"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["incident"].arn }
      statistic   = "Sum"
    }
    incident-timed-out = {
      description = "An execution of ${var.name_prefix}-incident timed out: its incident may not be contained."
      namespace   = "AWS/States"
      metric      = "ExecutionsTimedOut"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["incident"].arn }
      statistic   = "Sum"
    }
    notice-failed = {
      description = "An execution of ${var.name_prefix}-notice failed: people may not have been told of a finding."
      namespace   = "AWS/States"
      metric      = "ExecutionsFailed"
      dimensions  = { StateMachineArn = aws_sfn_state_machine.this["notice"].arn }
      statistic   = "Sum"
    }
    watchdog-errors = {
      description = "The watchdog raised an error: a failure of the response may go unnoticed."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = aws_lambda_function.this["watchdog"].function_name }
      statistic   = "Sum"
    }
  }

  # Metrics that the watchdog writes into its log (CloudWatch embedded metric format). Both topics are told, because the
  # alarm can be about one of them.
  outbox_alarms = {
    messages-wait = {
      description = "Messages about incidents could not be sent for ten minutes: read /aws/lambda/${var.name_prefix}-watchdog, and the incident table's index outbox."
      metric      = "MessagesWaiting"
      statistic   = "Maximum"
    }
    subscriptions = {
      description = "A topic has fewer confirmed subscriptions than expected, some that wait for a confirmation, or cannot be looked at: nobody may hear of incidents. The incident table says more (keys OUTBOX#notifications and OUTBOX#escalations)."
      metric      = "TopicsWithoutSubscribers"
      statistic   = "Sum"
    }
  }
}

# Also a metric in the watchdog's log: how many checks are due that a minute was not enough for. An hour of that is longer
# than the backlog of an ordinary failure takes.
resource "aws_cloudwatch_metric_alarm" "overdue" {
  count = local.watching ? 1 : 0

  alarm_name          = "${var.name_prefix}-checks-overdue"
  alarm_description   = "Checks of containments have been overdue for an hour, more of them than can be made: nobody may notice that a containment is lost. Read /aws/lambda/${var.name_prefix}-watchdog and /aws/lambda/${var.name_prefix}-monitor-*, and raise watch.checks_in_flight if there is no error."
  namespace           = "GuardDutyResponse"
  metric_name         = "ChecksWaiting"
  dimensions          = { Deployment = var.name_prefix }
  statistic           = "Minimum"
  period              = 300
  evaluation_periods  = 12
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = distinct([var.topic_arns.notifications, var.topic_arns.escalations])
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "outbox" {
  for_each = local.outbox_alarms

  alarm_name          = "${var.name_prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "GuardDutyResponse"
  metric_name         = each.value.metric
  dimensions          = { Deployment = var.name_prefix }
  statistic           = each.value.statistic
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = distinct([var.topic_arns.notifications, var.topic_arns.escalations])
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name_prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arns.notifications]
  tags                = var.tags
}
