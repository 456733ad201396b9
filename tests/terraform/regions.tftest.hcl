# Other Regions and member accounts: what is sent on, by whom, to where.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan

  override_resource {
    target = aws_cloudwatch_event_rule.this["findings"]
    values = { arn = "arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-findings" }
  }
  override_resource {
    target = aws_cloudwatch_event_rule.this["changes"]
    values = { arn = "arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-changes" }
  }
  override_resource {
    target = aws_cloudwatch_event_rule.this["changes-2"]
    values = { arn = "arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-changes-2" }
  }
  override_resource {
    target = aws_sqs_queue.undelivered
    values = { arn = "arn:aws:sqs:eu-west-1:111111111111:gdr-undelivered", url = "https://sqs.eu-west-1.amazonaws.com/111111111111/gdr-undelivered" }
  }
}

variables {
  name_prefix   = "gdr"
  event_bus_arn = "arn:aws:events:us-east-1:111111111111:event-bus/default"
}

run "listened_to" {
  command = plan

  module {
    source = "./modules/event-patterns"
  }

  variables {
    playbooks = ["iam_principal", "ec2_instance"]
  }
}

run "forwarder_in_the_security_account" {
  command = plan

  module {
    source = "./modules/region-forwarder"
  }

  variables {
    for_member_accounts  = { name_prefix = "gdr", iam_path = "/security/", forwarder = { event_bus_arn = var.event_bus_arn, rules = run.listened_to.forwarder_rules } }
    permissions_boundary = "arn:aws:iam::111111111111:policy/boundary"
    alarm_topic_arns     = ["arn:aws:sns:eu-west-1:111111111111:ours"]
    tags                 = { team = "security" }
  }

  assert {
    condition = alltrue([
      aws_cloudwatch_event_rule.this["findings"].name == "gdr-forward-findings",
      aws_cloudwatch_event_rule.this["changes"].name == "gdr-forward-changes",
      aws_cloudwatch_event_rule.this["changes-2"].name == "gdr-forward-changes-2",
      aws_sqs_queue.undelivered.name == "gdr-undelivered",
      aws_iam_role.this.name == "gdr-forwarder-eu-west-1",
      output.region == "eu-west-1",
      length(aws_sns_topic.alarms) == 0,
    ])
    error_message = "Names must be those of the interface, and the role's must differ per Region, where IAM is one."
  }
  assert {
    condition     = aws_iam_role.this.path == "/security/" && aws_iam_role.this.permissions_boundary == "arn:aws:iam::111111111111:policy/boundary"
    error_message = "The role must carry the path and the permissions boundary."
  }
  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{
      Sid       = "TheseRules"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = "111111111111" }
        ArnEquals    = { "aws:SourceArn" = ["arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-changes", "arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-changes-2", "arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-findings"] }
      }
    }]
    error_message = "EventBridge alone, for these rules of this account alone, may use the role."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.this.policy).Statement == [{
      Sid      = "Forward"
      Effect   = "Allow"
      Action   = "events:PutEvents"
      Resource = "arn:aws:events:us-east-1:111111111111:event-bus/default"
    }]
    error_message = "The role may put events to the home Region's bus and nothing else."
  }
  assert {
    condition = alltrue([
      for target in values(aws_cloudwatch_event_target.this) : alltrue([
        target.arn == "arn:aws:events:us-east-1:111111111111:event-bus/default",
        target.role_arn == aws_iam_role.this.arn,
        target.dead_letter_config[0].arn == "arn:aws:sqs:eu-west-1:111111111111:gdr-undelivered",
        target.retry_policy[0].maximum_event_age_in_seconds == 86400,
        target.retry_policy[0].maximum_retry_attempts == 185,
        target.input == null && target.input_path == null && length(target.input_transformer) == 0,
      ])
    ]) && toset(keys(aws_cloudwatch_event_target.this)) == toset(["findings", "changes", "changes-2"])
    error_message = "Both rules must send the event as it is to the home bus, keep trying for a day, and then keep what could not be sent."
  }
  assert {
    condition = alltrue([
      aws_sqs_queue.undelivered.message_retention_seconds == 1209600,
      aws_sqs_queue.undelivered.sqs_managed_sse_enabled,
      jsondecode(aws_sqs_queue.undelivered.policy).Statement[0] == {
        Sid       = "Rules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = "arn:aws:sqs:eu-west-1:111111111111:gdr-undelivered"
        Condition = { ArnEquals = { "aws:SourceArn" = ["arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-changes", "arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-changes-2", "arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-findings"] } }
      },
      [for statement in jsondecode(aws_sqs_queue.undelivered.policy).Statement : statement.Sid if statement.Effect == "Allow"] == ["Rules"],
    ])
    error_message = "The queue must keep 14 days, encrypted, and take messages of exactly these rules."
  }
  assert {
    condition = alltrue([
      aws_cloudwatch_metric_alarm.undelivered.alarm_actions == toset(["arn:aws:sns:eu-west-1:111111111111:ours"]),
      aws_cloudwatch_metric_alarm.undelivered.metric_name == "ApproximateNumberOfMessagesVisible",
      aws_cloudwatch_metric_alarm.undelivered.dimensions == tomap({ QueueName = "gdr-undelivered" }),
      aws_cloudwatch_metric_alarm.undelivered.threshold == 0,
      aws_cloudwatch_metric_alarm.undelivered.treat_missing_data == "notBreaching",
    ])
    error_message = "The first message in the queue must raise the alarm."
  }
  assert {
    condition = alltrue([
      for tags in [aws_cloudwatch_event_rule.this["findings"].tags, aws_iam_role.this.tags, aws_sqs_queue.undelivered.tags, aws_cloudwatch_metric_alarm.undelivered.tags] :
      tags == tomap({ team = "security" })
    ])
    error_message = "Every resource must carry the tags."
  }
}

run "forwarder_with_addresses" {
  command = plan

  module {
    source = "./modules/region-forwarder"
  }

  variables {
    for_member_accounts = { name_prefix = "gdr", iam_path = "/", forwarder = { event_bus_arn = var.event_bus_arn, rules = run.listened_to.forwarder_rules } }
    email_addresses     = ["a@example.com", "b@example.com"]
  }

  assert {
    condition = alltrue([
      aws_sns_topic.alarms[0].name == "gdr-forwarder",
      length(aws_sns_topic_subscription.email) == 2,
      aws_cloudwatch_metric_alarm.undelivered.alarm_actions == toset([aws_sns_topic.alarms[0].arn]),
      jsondecode(aws_sns_topic.alarms[0].policy).Statement[0].Principal == { Service = "cloudwatch.amazonaws.com" },
      jsondecode(aws_sns_topic.alarms[0].policy).Statement[0].Condition == {
        StringEquals = { "aws:SourceAccount" = "111111111111" }
        ArnEquals    = { "aws:SourceArn" = "arn:aws:cloudwatch:eu-west-1:111111111111:alarm:gdr-undelivered" }
      },
      output.alarm_topic_arn == aws_sns_topic.alarms[0].arn,
    ])
    error_message = "With addresses there must be a topic that this alarm alone may publish to."
  }
}

run "forwarder_in_a_member" {
  command = plan

  module {
    source = "./modules/region-forwarder"
  }

  variables {
    for_member_accounts = { name_prefix = "gdr", iam_path = "/", forwarder = { event_bus_arn = "arn:aws:events:us-east-1:444444444444:event-bus/default", rules = { changes = run.listened_to.forwarder_rules.changes } } }
  }

  assert {
    condition = alltrue([
      keys(aws_cloudwatch_event_rule.this) == ["changes"],
      keys(aws_cloudwatch_event_target.this) == ["changes"],
      jsondecode(aws_iam_role_policy.this.policy).Statement[0].Resource == "arn:aws:events:us-east-1:444444444444:event-bus/default",
      jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == ["arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-changes"],
    ])
    error_message = "A member must send changes alone."
  }
}

run "forwarder_in_a_member_in_the_home_region" {
  command = plan

  module {
    source = "./modules/region-forwarder"
  }

  variables {
    # The mocks' Region, another account
    for_member_accounts = { name_prefix = "gdr", iam_path = "/", forwarder = { event_bus_arn = "arn:aws:events:eu-west-1:444444444444:event-bus/default", rules = { for name, rule in run.listened_to.forwarder_rules : name => rule if name != "findings" } } }
  }

  assert {
    condition     = keys(aws_cloudwatch_event_target.this) == ["changes", "changes-2"]
    error_message = "A member forwards in the home Region too: the bus is another account's."
  }
}

run "findings_of_a_member_are_refused" {
  command = plan

  module {
    source = "./modules/region-forwarder"
  }

  variables {
    for_member_accounts = { name_prefix = "gdr", iam_path = "/", forwarder = { event_bus_arn = "arn:aws:events:us-east-1:444444444444:event-bus/default", rules = { findings = run.listened_to.forwarder_rules.findings } } }
  }

  expect_failures = [aws_cloudwatch_event_target.this]
}

run "onto_its_own_bus_is_refused" {
  command = plan

  module {
    source = "./modules/region-forwarder"
  }

  variables {
    for_member_accounts = { name_prefix = "gdr", iam_path = "/", forwarder = { event_bus_arn = "arn:aws:events:eu-west-1:111111111111:event-bus/default", rules = run.listened_to.forwarder_rules } }
  }

  expect_failures = [aws_cloudwatch_event_target.this]
}

run "forwarder_rules" {
  command = plan

  module {
    source = "./modules/region-forwarder"
  }

  variables {
    for_member_accounts  = { name_prefix = "gdr", iam_path = "/", forwarder = { event_bus_arn = "arn:aws:events:us-east-1:111111111111:event-bus/other", rules = run.listened_to.forwarder_rules } }
    permissions_boundary = "boundary"
    alarm_topic_arns     = ["ours"]
    email_addresses      = ["nobody"]
  }

  expect_failures = [var.for_member_accounts, var.permissions_boundary, var.alarm_topic_arns, var.email_addresses]
}

run "forwarder_of_nothing" {
  command = plan

  module {
    source = "./modules/region-forwarder"
  }

  variables {
    for_member_accounts = { name_prefix = "gdr", iam_path = "/", forwarder = { event_bus_arn = var.event_bus_arn, rules = {} } }
  }

  expect_failures = [var.for_member_accounts]
}

run "forwarder_to_a_bus_that_takes_nothing" {
  command = plan

  module {
    source = "./modules/region-forwarder"
  }

  variables {
    for_member_accounts = { name_prefix = "gdr", iam_path = "/", forwarder = null }
  }

  expect_failures = [var.for_member_accounts]
}

# --- modules/event-patterns: one source ----------------------------------------------------------------------------------

run "patterns" {
  command = plan

  module {
    source = "./modules/event-patterns"
  }

  variables {
    playbooks = ["iam_principal", "ec2_instance"]
  }

  assert {
    condition = jsondecode(output.findings) == {
      source      = ["aws.guardduty"]
      detail-type = ["GuardDuty Finding"]
      detail      = { service = { archived = [false, "false", { exists = false }] } }
    }
    error_message = "Every unarchived finding, and nothing else."
  }
  assert {
    condition = [for change in output.changes : "${change.name} ${change.playbook} ${join(" ", jsondecode(change.pattern).source)}"] == [
      "changes ec2_instance aws.autoscaling aws.ec2 aws.elasticloadbalancing aws.iam",
      "changes-2 iam_principal aws.iam",
    ]
    error_message = "One pattern for each playbook, in the order of their names: ${jsonencode(output.changes)}"
  }
  assert {
    condition = alltrue([for change in output.changes : jsondecode(change.pattern).detail-type == ["AWS API Call via CloudTrail"] && length(change.pattern) < 2048]) && sort(flatten([
      for change in output.changes : jsondecode(change.pattern).detail.eventName
    ])) == sort(distinct(flatten([for name in ["ec2_instance", "iam_principal"] : values(jsondecode(file("playbooks/${name}/undoing-calls.json")))])))
    error_message = "Every call of the playbooks' lists in one pattern, and nothing else."
  }
  assert {
    condition = alltrue([
      for change in output.changes : jsondecode(change.pattern).detail.userIdentity.sessionContext.sessionIssuer.userName[1].anything-but == [
        "gdr-responder-ec2-instance", "gdr-collector-ec2-instance", "gdr-responder-iam-principal", "gdr-collector-iam-principal",
      ]
    ])
    error_message = "No playbook's pattern may take a call of any playbook's roles."
  }
}

run "home_and_forwarder_listen_alike" {
  command = plan

  module {
    source = "./tests/terraform/regions"
  }

  assert {
    condition     = alltrue([for name in ["findings", "changes", "changes-2"] : output.same[name]])
    error_message = "The forwarders' patterns must be the home rules', character by character."
  }
}
