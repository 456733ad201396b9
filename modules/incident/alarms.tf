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
      dimensions  = { StateMachineArn = local.made_machine_arns.incident }
      statistic   = "Sum"
    }
    incident-timed-out = {
      description = "An execution of ${var.name_prefix}-incident timed out: its incident may not be contained."
      namespace   = "AWS/States"
      metric      = "ExecutionsTimedOut"
      dimensions  = { StateMachineArn = local.made_machine_arns.incident }
      statistic   = "Sum"
    }
    notice-failed = {
      description = "An execution of ${var.name_prefix}-notice failed: people may not have been told of a finding."
      namespace   = "AWS/States"
      metric      = "ExecutionsFailed"
      dimensions  = { StateMachineArn = local.made_machine_arns.notice }
      statistic   = "Sum"
    }
    watchdog-errors = {
      description = "The watchdog raised an error: a failure of the response may go unnoticed."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = local.function_names.watchdog }
      statistic   = "Sum"
    }
  }

  # Of every object, also of those that are stored after the evidence item `replication` has asked S3.
  replica_alarms = {
    for name in ["evidence-not-replicated"] : name => {
      description = "Amazon S3 could not replicate an object of ${local.bucket_name} to ${local.replica.bucket_arn}: this account has its only copy. Mend the policies of the other account's bucket and key, and replicate the object with S3 Batch Replication."
      namespace   = "AWS/S3"
      metric      = "OperationsFailedReplication"
      dimensions  = { SourceBucket = local.bucket_name, DestinationBucket = split(":::", local.replica.bucket_arn)[1], RuleId = local.replica_rule }
      statistic   = "Sum"
    }
    if local.replica_metrics
  }

  # What must run by itself. Where it does not, no metric says that anything waits or is overdue, so its silence is the alarm.
  # EventBridge hands a function's event over even while Lambda runs none of them: rules and function are looked at apart.
  schedules = merge(
    {
      outbox-silent  = { rule = aws_cloudwatch_event_rule.outbox.name, periods = 2, so = "messages that wait are not sent, and nobody looks who is subscribed" }
      sweeper-silent = { rule = aws_cloudwatch_event_rule.sweeper.name, periods = 3, so = "nobody notices an incident that stands still" }
    },
    {
      for name in ["watch-silent"] : name => { rule = local.rule_names.watch, periods = 2, so = "containments are not checked on schedule" }
      if local.watching
    },
  )
  silence = merge(
    {
      watchdog-silent = {
        description = "The watchdog has not run for ten minutes: nothing is monitored, no message that waits is sent, and nobody notices an incident that stands still. Look at the rules ${var.name_prefix}-outbox and ${var.name_prefix}-sweeper, and at the concurrency of function and account."
        namespace   = "AWS/Lambda"
        dimensions  = { FunctionName = local.function_names.watchdog }
        periods     = 2
      }
    },
    {
      for name, schedule in local.schedules : name => {
        description = "The rule ${schedule.rule} has run nothing for ${schedule.periods * 5} minutes: ${schedule.so}. Enable the rule, and look at its target."
        namespace   = "AWS/Events"
        dimensions  = { RuleName = schedule.rule }
        periods     = schedule.periods
      }
    },
  )

  # What Amazon SNS did with what it had accepted. Where there is no escalation topic, both names are those of one topic.
  topic_names = { for suffix, arn in var.topic_arns : suffix => element(split(":", arn), 5) }
  delivery_alarms = {
    messages-undelivered = {
      description = "Amazon SNS could not deliver a message to a subscriber of ${join(" or ", distinct(values(local.topic_names)))}: somebody has not heard of an incident, although its record says that it was sent. Look at the endpoint, and read the incidents of the last hour."
      expression  = "FILL(failed_notifications, 0) + FILL(failed_escalations, 0)"
      metrics = {
        failed_notifications = { name = "NumberOfNotificationsFailed", topic = local.topic_names.notifications }
        failed_escalations   = { name = "NumberOfNotificationsFailed", topic = local.topic_names.escalations }
      }
    }
    escalations-filtered = {
      description = "Filter policies kept a message of ${local.topic_names.escalations} from every subscriber: nobody was told of an incident that needs a person. Correct the filter policies, and read the incidents of the last hour."
      expression  = "IF(FILL(filtered, 0) > 0 && FILL(delivered, 0) < 1, 1, 0)"
      metrics = {
        filtered  = { name = "NumberOfNotificationsFilteredOut", topic = local.topic_names.escalations }
        delivered = { name = "NumberOfNotificationsDelivered", topic = local.topic_names.escalations }
      }
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
  for_each = merge(local.alarms, local.replica_alarms)

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

# An invocation that is throttled is tried again for six hours (AWS Lambda, asynchronous invocation), so ten minutes of that are
# late checks and messages; the alarm of the silence comes where no invocation gets through at all.
resource "aws_cloudwatch_metric_alarm" "throttled" {
  alarm_name          = "${var.name_prefix}-watchdog-throttled"
  alarm_description   = "Lambda has throttled the watchdog for ten minutes: checks and messages are late. Raise the concurrency of the account, or reserve some for the function."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = local.function_names.watchdog }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 2
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = distinct([var.topic_arns.notifications, var.topic_arns.escalations])
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "silent" {
  for_each = local.silence

  alarm_name          = "${var.name_prefix}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = "Invocations"
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = each.value.periods
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = distinct([var.topic_arns.notifications, var.topic_arns.escalations])
  tags                = var.tags

  # Nothing is silent before it may run.
  depends_on = [aws_cloudwatch_event_target.this, aws_lambda_permission.watchdog]
}

resource "aws_cloudwatch_metric_alarm" "delivery" {
  for_each = local.delivery_alarms

  alarm_name          = "${var.name_prefix}-${each.key}"
  alarm_description   = each.value.description
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = distinct([var.topic_arns.notifications, var.topic_arns.escalations])
  tags                = var.tags

  metric_query {
    id          = "found"
    expression  = each.value.expression
    label       = each.key
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value.metrics

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/SNS"
        metric_name = metric_query.value.name
        dimensions  = { TopicName = metric_query.value.topic }
        stat        = "Sum"
        period      = 300
      }
    }
  }
}
