# What each module makes: names, trust, paths and boundaries, least privilege.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name_prefix = "gdr"
  iam         = { path = "/security/", permissions_boundary = "arn:aws:iam::111111111111:policy/boundary" }
  kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000"
  functions   = { architecture = "x86_64", memory_size = 1024, vpc = { subnet_ids = [], security_group_ids = [] } }
  tags        = { team = "security" }
}

run "incident" {
  command = plan

  module {
    source = "./modules/incident"
  }

  variables {
    account_id         = "111111111111"
    partition          = "aws"
    config_json        = jsonencode({ version = 1 })
    paused             = true
    act_patterns       = [for source in ["aws.guardduty", "aws.guardduty.too"] : jsonencode({ source = [source] })]
    playbook_functions = { ec2_instance = { act = "arn:aws:lambda:eu-central-1:111111111111:function:gdr-playbook-ec2-instance", collect = "arn:aws:lambda:eu-central-1:111111111111:function:gdr-collector-ec2-instance" } }
    monitor_functions  = { ec2_instance = "arn:aws:lambda:eu-central-1:111111111111:function:gdr-monitor-ec2-instance" }
    watch              = { first_day_minutes = 5, checks_in_flight = 3 }
    zips               = { incident = "lambda_src/dist/incident.zip", watchdog = "lambda_src/dist/watchdog.zip" }
    timeout_seconds    = 3600
    topic_arns = {
      notifications = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
      escalations   = "arn:aws:sns:eu-central-1:111111111111:gdr-escalations"
    }
    evidence = { create_bucket = true, force_destroy = false, log_retention_days = 30, object_lock = { mode = "GOVERNANCE", days = 30 } }
  }

  assert {
    condition = alltrue([
      for role in concat(values(aws_iam_role.function), values(aws_iam_role.machine), [aws_iam_role.events]) :
      role.path == "/security/" && role.permissions_boundary == "arn:aws:iam::111111111111:policy/boundary"
    ])
    error_message = "Every role must carry the path and the permissions boundary."
  }
  assert {
    condition = alltrue([
      for target in values(aws_cloudwatch_event_target.this) :
      length(target.dead_letter_config) == 1 && target.retry_policy[0].maximum_event_age_in_seconds == 86400 && target.retry_policy[0].maximum_retry_attempts == 185
    ]) && toset(keys(aws_cloudwatch_event_target.this)) == toset(["act", "act-2", "notice", "execution-status", "sweeper", "outbox", "watch", "changes"])
    error_message = "Every target must have a dead-letter queue and a day of retries."
  }
  assert {
    condition     = [for rule in aws_cloudwatch_event_rule.act : "${rule.name} ${rule.event_pattern}"] == ["gdr-act {\"source\":[\"aws.guardduty\"]}", "gdr-act-2 {\"source\":[\"aws.guardduty.too\"]}"]
    error_message = "Each pattern of the acting types must have a rule, and the first keeps its name."
  }
  assert {
    condition = alltrue([
      jsondecode(aws_cloudwatch_event_rule.notice.event_pattern) == {
        source      = ["aws.guardduty"]
        detail-type = ["GuardDuty Finding"]
        detail      = { service = { archived = [false, "false", { exists = false }] } }
      },
      jsondecode(aws_cloudwatch_event_rule.execution_status.event_pattern).source == ["aws.states"],
      jsondecode(aws_cloudwatch_event_rule.execution_status.event_pattern).detail.status == ["FAILED", "TIMED_OUT", "ABORTED"],
      length(jsondecode(aws_cloudwatch_event_rule.execution_status.event_pattern).detail.stateMachineArn) == 2,
      aws_cloudwatch_event_rule.sweeper.schedule_expression == "rate(5 minutes)",
      aws_cloudwatch_event_rule.watch[0].schedule_expression == "rate(1 minute)",
      toset(keys(aws_lambda_permission.watchdog)) == toset(["execution-status", "sweeper", "outbox", "watch", "changes"]),
      aws_cloudwatch_event_target.this["sweeper"].input == jsonencode({ source = "guardduty-response.sweeper" }),
      aws_cloudwatch_event_rule.outbox.schedule_expression == "rate(1 minute)",
      aws_cloudwatch_event_target.this["outbox"].input == jsonencode({ source = "guardduty-response.outbox" }),
      aws_lambda_event_source_mapping.undelivered.function_response_types == toset(["ReportBatchItemFailures"]),
      jsondecode(aws_sqs_queue_redrive_policy.undelivered.redrive_policy).maxReceiveCount == 3,
    ])
    error_message = "Rules and queues must see every finding and every failed execution, and keep what could not be delivered (docs/decisions/0012)."
  }
  assert {
    condition = alltrue([
      for name, policy in output.policies : !strcontains(policy, "sts:") && !can(regex("\"Action\":\"[a-z0-9]*:?\\*\"", policy))
      ]) && alltrue([
      for statement in concat([for name in ["incident", "watchdog"] : jsondecode(output.policies[name]).Statement]...) :
      statement.Sid == "GiveOutChecks" && statement.Action == "lambda:InvokeFunction" && statement.Resource == [var.monitor_functions.ec2_instance]
      if strcontains(jsonencode(statement.Action), "lambda:")
      ]) && !strcontains(output.policies["incident"], "lambda:") && !strcontains(output.policies["notice_machine"], "playbook") && !strcontains(output.policies["incident"], "states:StartExecution"
    )
    error_message = "Nothing here may assume a role, the functions may invoke nothing but what verifies, and the notice machine may reach no playbook."
  }
  assert {
    condition = [
      for index in aws_dynamodb_table.incidents.global_secondary_index : join(" ", concat([index.hash_key, index.range_key, index.projection_type], sort(index.non_key_attributes))) if index.name == "due"
    ] == ["due_shard due_at INCLUDE account_id arn claimed_until generation opened_at playbook region"]
    error_message = "The index of checks must be small: the time, and what the reconciler needs to give a check out."
  }
  assert {
    condition     = !contains([for index in aws_dynamodb_table.incidents.global_secondary_index : index.projection_type], "ALL")
    error_message = "Every index must be small: each update of an item is written to its indexes as well."
  }
  assert {
    condition = alltrue([
      aws_lambda_function.this["watchdog"].environment[0].variables["GDR_MONITOR_FUNCTIONS"] == jsonencode(var.monitor_functions),
      jsondecode(aws_lambda_function.this["watchdog"].environment[0].variables["GDR_MONITOR_INTERVALS"]) == { first_day = 5, first_week = 60, later = 360 },
      aws_lambda_function.this["watchdog"].environment[0].variables["GDR_MONITOR_IN_FLIGHT"] == "3",
      [for statement in jsondecode(output.policies["watchdog"]).Statement : statement.Resource if statement.Sid == "ChecksThatAreDue"] == ["${output.table_arn}/index/due"],
      !contains(keys(aws_lambda_function.this["incident"].environment[0].variables), "GDR_MONITOR_FUNCTIONS"),
    ])
    error_message = "The watchdog must know the functions that verify, the intervals and the limit, and read the index of checks."
  }
  assert {
    condition = alltrue([
      aws_cloudwatch_metric_alarm.overdue[0].alarm_name == "gdr-checks-overdue",
      aws_cloudwatch_metric_alarm.overdue[0].namespace == "GuardDutyResponse",
      aws_cloudwatch_metric_alarm.overdue[0].metric_name == "ChecksWaiting",
      aws_cloudwatch_metric_alarm.overdue[0].dimensions == tomap({ Deployment = var.name_prefix }),
      aws_cloudwatch_metric_alarm.overdue[0].period * aws_cloudwatch_metric_alarm.overdue[0].evaluation_periods == 3600,
      aws_cloudwatch_metric_alarm.overdue[0].statistic == "Minimum",
      aws_cloudwatch_metric_alarm.overdue[0].alarm_actions == toset(values(var.topic_arns)),
    ])
    error_message = "Checks that are overdue for an hour must alarm both topics."
  }
  assert {
    condition = alltrue([
      for name, wanted in {
        incident_machine = [["dynamodb:PutItem", "dynamodb:UpdateItem"], ["INCIDENT#*", "EXECUTION#*"]]
        notice_machine   = [["dynamodb:GetItem"], ["INCIDENT#*"]]
      } :
      alltrue([
        for statement in jsondecode(output.policies[name]).Statement :
        statement.Action == wanted[0] && statement.Resource == output.table_arn && statement.Condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"] == wanted[1] && statement.Condition.Null["dynamodb:LeadingKeys"] == "false"
        if statement.Sid == "Claims"
        ]) && alltrue([
        for statement in jsondecode(output.policies[name]).Statement : endswith(statement.Resource, ":stateMachine:${var.name_prefix}-incident")
        if strcontains(jsonencode(statement.Action), "states:StartExecution")
      ]) && length([for statement in jsondecode(output.policies[name]).Statement : statement if strcontains(jsonencode(statement.Action), "dynamodb:")]) == 1
    ])
    error_message = "The machines may claim and count, or read claims, and start the incident machine, and nothing else (docs/decisions/0028)."
  }
  assert {
    condition = alltrue([
      for name, definition in output.machine_definitions : jsondecode(definition).QueryLanguage == "JSONata"
    ]) && strcontains(output.machine_definitions["incident"], "gdr-playbook-ec2-instance") && !strcontains(output.machine_definitions["notice"], "playbook-")
    error_message = "Both definitions must be JSON in JSONata; only incident knows playbook functions."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(output.policies["watchdog"]).Statement :
      statement.Action == { MessagesThatWait = "dynamodb:Query", WhoIsSubscribed = "sns:ListSubscriptionsByTopic" }[statement.Sid]
      && toset(flatten([statement.Resource])) == toset({ MessagesThatWait = ["${output.table_arn}/index/outbox"], WhoIsSubscribed = values(var.topic_arns) }[statement.Sid])
      if contains(["MessagesThatWait", "WhoIsSubscribed"], statement.Sid)
      ]) && alltrue([
      for policy in [output.policies["incident"]] : !strcontains(policy, "ListSubscriptionsByTopic") && !strcontains(policy, "index/outbox")
    ]) && jsondecode(aws_lambda_function.this["watchdog"].environment[0].variables["GDR_EXPECTED_SUBSCRIPTIONS"]) == { notifications = 1, escalations = 1 }
    error_message = "The watchdog alone may look for messages that wait, and for who is subscribed to the topics."
  }
  assert {
    condition = alltrue([
      for name in ["messages-wait", "subscriptions"] :
      aws_cloudwatch_metric_alarm.outbox[name].namespace == "GuardDutyResponse" && aws_cloudwatch_metric_alarm.outbox[name].dimensions == tomap({ Deployment = var.name_prefix })
      && aws_cloudwatch_metric_alarm.outbox[name].period == 60 && aws_cloudwatch_metric_alarm.outbox[name].alarm_actions == toset(values(var.topic_arns))
    ])
    error_message = "Messages that wait and topics without subscribers must alarm both topics."
  }
  assert {
    condition = alltrue([
      for name, wanted in {
        watchdog-silent = ["AWS/Lambda", { FunctionName = "gdr-watchdog" }, 10]
        outbox-silent   = ["AWS/Events", { RuleName = "gdr-outbox" }, 10]
        watch-silent    = ["AWS/Events", { RuleName = "gdr-watch" }, 10]
        sweeper-silent  = ["AWS/Events", { RuleName = "gdr-sweeper" }, 15]
      } :
      aws_cloudwatch_metric_alarm.silent[name].alarm_name == "gdr-${name}"
      && aws_cloudwatch_metric_alarm.silent[name].namespace == wanted[0]
      && aws_cloudwatch_metric_alarm.silent[name].metric_name == "Invocations"
      && aws_cloudwatch_metric_alarm.silent[name].dimensions == tomap(wanted[1])
      && aws_cloudwatch_metric_alarm.silent[name].statistic == "Sum"
      && aws_cloudwatch_metric_alarm.silent[name].comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.silent[name].threshold == 1
      && aws_cloudwatch_metric_alarm.silent[name].treat_missing_data == "breaching"
      && aws_cloudwatch_metric_alarm.silent[name].period * aws_cloudwatch_metric_alarm.silent[name].evaluation_periods == wanted[2] * 60
      && aws_cloudwatch_metric_alarm.silent[name].alarm_actions == toset(values(var.topic_arns))
    ]) && length(aws_cloudwatch_metric_alarm.silent) == 4
    error_message = "A watchdog or a schedule that does not run must alarm both topics: nothing else says so."
  }
  assert {
    condition = alltrue([
      aws_cloudwatch_metric_alarm.throttled.metric_name == "Throttles",
      aws_cloudwatch_metric_alarm.throttled.dimensions == tomap({ FunctionName = "gdr-watchdog" }),
      aws_cloudwatch_metric_alarm.throttled.period * aws_cloudwatch_metric_alarm.throttled.evaluation_periods == 600,
      aws_cloudwatch_metric_alarm.throttled.threshold == 0 && aws_cloudwatch_metric_alarm.throttled.comparison_operator == "GreaterThanThreshold",
      aws_cloudwatch_metric_alarm.throttled.alarm_actions == toset(values(var.topic_arns)),
    ])
    error_message = "A watchdog that is throttled for ten minutes must alarm both topics."
  }
  assert {
    condition = alltrue([
      for name, wanted in {
        messages-undelivered = "NumberOfNotificationsFailed gdr-escalations, NumberOfNotificationsFailed gdr-notifications"
        escalations-filtered = "NumberOfNotificationsDelivered gdr-escalations, NumberOfNotificationsFilteredOut gdr-escalations"
      } :
      join(", ", sort(flatten([for query in aws_cloudwatch_metric_alarm.delivery[name].metric_query : [for metric in query.metric : "${metric.metric_name} ${metric.dimensions.TopicName}"]]))) == wanted
      && join(", ", [for query in aws_cloudwatch_metric_alarm.delivery[name].metric_query : query.id if query.return_data == true]) == "found"
      && aws_cloudwatch_metric_alarm.delivery[name].alarm_actions == toset(values(var.topic_arns))
      && aws_cloudwatch_metric_alarm.delivery[name].treat_missing_data == "notBreaching"
    ])
    error_message = "What SNS does not deliver, and escalations that every filter policy keeps out, must alarm both topics."
  }
  assert {
    condition = alltrue([
      for machine in values(aws_sfn_state_machine.this) :
      machine.type == "STANDARD" && machine.logging_configuration[0].level == "ALL" && !machine.logging_configuration[0].include_execution_data && machine.tracing_configuration[0].enabled
      ]) && alltrue([
      for function in values(aws_lambda_function.this) :
      function.tracing_config[0].mode == "Active" && function.runtime == "python3.13" && function.environment[0].variables["GDR_CONFIG_SHA256"] == sha256(var.config_json)
      ]) && alltrue([
      for group in concat(values(aws_cloudwatch_log_group.function), values(aws_cloudwatch_log_group.machine)) :
      group.retention_in_days == 30 && group.kms_key_id == var.kms_key_arn
    ])
    error_message = "Machines and functions must be traced, logged without findings, encrypted, and pinned to the config document."
  }
  assert {
    condition = alltrue([
      aws_dynamodb_table.incidents.name == "gdr-incidents",
      toset(aws_dynamodb_table.incidents.global_secondary_index[*].name) == toset(["incidents", "outbox", "due"]),
      aws_dynamodb_table.incidents.ttl[0].attribute_name == "expires_at",
      aws_dynamodb_table.incidents.point_in_time_recovery[0].enabled,
      aws_dynamodb_table.incidents.server_side_encryption[0].kms_key_arn == var.kms_key_arn,
      jsondecode(aws_dynamodb_table_item.control.item) == { pk = { S = "CONTROL" }, sk = { S = "TERRAFORM" }, paused = { BOOL = true }, config_sha256 = { S = sha256(var.config_json) } },
      terraform_data.config.triggers_replace == var.config_json,
      aws_s3_bucket.evidence[0].bucket == "gdr-evidence-111111111111-eu-central-1",
      length(aws_s3_bucket_object_lock_configuration.evidence) == 1,
      length(aws_s3_bucket_lifecycle_configuration.evidence) == 0,
      aws_s3_bucket_public_access_block.evidence[0].restrict_public_buckets,
      strcontains(aws_s3_bucket_policy.evidence[0].policy, "aws:SecureTransport"),
    ])
    error_message = "The record and the evidence must be kept as agreed: encrypted, versioned, private, TLS only."
  }
}

run "incident_with_nothing_acting" {
  command = plan

  module {
    source = "./modules/incident"
  }

  variables {
    account_id         = "111111111111"
    partition          = "aws"
    config_json        = jsonencode({ version = 1 })
    paused             = false
    act_patterns       = []
    playbook_functions = {}
    zips               = { incident = "lambda_src/dist/incident.zip", watchdog = "lambda_src/dist/watchdog.zip" }
    timeout_seconds    = 3600
    topic_arns = {
      notifications = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
      escalations   = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
    }
    evidence = { create_bucket = false, bucket_arn = "arn:aws:s3:::ours", force_destroy = false, log_retention_days = 30 }
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.act) == 0 && toset(keys(aws_cloudwatch_event_target.this)) == toset(["notice", "execution-status", "sweeper", "outbox"])
    error_message = "With nothing acting there must be no rule act, nothing to watch, and no target of either."
  }
  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.silent)) == toset(["watchdog-silent", "outbox-silent", "sweeper-silent"])
    error_message = "A rule that does not exist is not missed."
  }
  assert {
    condition     = length(aws_s3_bucket.evidence) == 0 && output.bucket_name == "ours" && strcontains(output.policies["incident"], "arn:aws:s3:::ours/incidents/*")
    error_message = "A bucket brought along must be used instead of a new one."
  }
}

run "document_too_large" {
  command = plan

  module {
    source = "./modules/incident"
  }

  variables {
    account_id         = "111111111111"
    partition          = "aws"
    config_json        = join("", [for i in range(36) : format("%010240d", i)])
    paused             = false
    act_patterns       = [format("%02048d", 0)]
    playbook_functions = {}
    zips               = { incident = "lambda_src/dist/incident.zip", watchdog = "lambda_src/dist/watchdog.zip" }
    timeout_seconds    = 3600
    topic_arns = {
      notifications = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
      escalations   = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
    }
    evidence = { create_bucket = false, bucket_arn = "arn:aws:s3:::ours", force_destroy = false, log_retention_days = 30 }
  }

  expect_failures = [terraform_data.config, aws_cloudwatch_event_rule.act]
}

run "key_of_another_region" {
  command = plan

  module {
    source = "./modules/incident"
  }

  variables {
    account_id         = "111111111111"
    partition          = "aws"
    config_json        = "{}"
    paused             = false
    act_patterns       = []
    playbook_functions = {}
    zips               = { incident = "lambda_src/dist/incident.zip", watchdog = "lambda_src/dist/watchdog.zip" }
    timeout_seconds    = 3600
    topic_arns = {
      notifications = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
      escalations   = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
    }
    evidence    = { create_bucket = true, force_destroy = false, log_retention_days = 30 }
    kms_key_arn = "arn:aws:kms:us-east-1:111111111111:key/00000000-0000-0000-0000-000000000000"
  }

  expect_failures = [aws_s3_bucket.evidence]
}

run "notifications" {
  command = plan

  module {
    source = "./modules/notifications"
  }

  variables {
    arn_base = { partition = "aws", region = "eu-central-1", account_id = "111111111111" }
    topics = {
      notifications = { create = true, email_addresses = ["a@example.com", "b@example.com"] }
      escalations   = { create = false, arn = "arn:aws:sns:eu-central-1:111111111111:on-call" }
    }
  }

  assert {
    condition = alltrue([
      toset(keys(aws_sns_topic.this)) == toset(["notifications"]),
      aws_sns_topic.this["notifications"].name == "gdr-notifications",
      aws_sns_topic.this["notifications"].kms_master_key_id == var.kms_key_arn,
      strcontains(aws_sns_topic.this["notifications"].policy, "cloudwatch.amazonaws.com"),
      length(aws_sns_topic_subscription.email) == 2,
      output.topic_arns["escalations"] == "arn:aws:sns:eu-central-1:111111111111:on-call",
    ])
    error_message = "A topic brought along must be used as it is; one created must be encrypted, take alarms and have its subscribers."
  }
}
