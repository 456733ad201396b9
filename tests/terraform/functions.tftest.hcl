# The functions that act: each with one job, one role, and one kind of member role it may assume.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications   = { expected_subscriptions = 1 } # somebody subscribes by other means
  name_prefix     = "gdr"
  iam             = { path = "/security/", permissions_boundary = "arn:aws:iam::111111111111:policy/boundary" }
  organization_id = "o-a1b2c3d4e5"
}

run "every_job" {
  command = plan

  variables {
    remediations = { "CryptoCurrency:EC2/*" = "auto" }
    ec2_instance = { restore = true, finish = "terminate" }
  }

  assert {
    condition = keys(module.function) == [
      "ec2_instance/collector", "ec2_instance/monitor", "ec2_instance/playbook", "ec2_instance/restore", "ec2_instance/terminate",
    ]
    error_message = "Every job that is switched on must have a function of its own."
  }
  assert {
    condition = { for key, one in module.function : key => one.member_role } == {
      "ec2_instance/collector" = "security/gdr-collector-ec2-instance"
      "ec2_instance/monitor"   = "security/gdr-monitor-ec2-instance"
      "ec2_instance/playbook"  = "security/gdr-responder-ec2-instance"
      "ec2_instance/restore"   = "security/gdr-restorer-ec2-instance"
      "ec2_instance/terminate" = "security/gdr-terminator-ec2-instance"
    }
    error_message = "Each function must assume the member role of its own job."
  }
  assert {
    condition = alltrue([
      for key, one in module.function : [
        for s in jsondecode(one.function_role_policy).Statement : s if strcontains(jsonencode(s.Action), "sts:")
        ] == [{
          Sid       = "OwnMemberRole"
          Effect    = "Allow"
          Action    = "sts:AssumeRole"
          Resource  = "arn:aws:iam::*:role/${one.member_role}"
          Condition = { StringEquals = { "aws:ResourceOrgID" = "o-a1b2c3d4e5" } }
      }]
    ])
    error_message = "A function must be able to assume its own member role only, inside the organization only."
  }
  assert {
    condition = alltrue([
      for key, one in module.function : alltrue([
        for forbidden in ["lambda:", "states:StartExecution", "ec2:", "\"iam:"] : !strcontains(one.function_role_policy, forbidden)
        if !(forbidden == "states:StartExecution" && key == "ec2_instance/monitor")
      ])
    ])
    error_message = "A function may do nothing itself: it acts through its member role."
  }
  assert {
    condition = [
      for s in jsondecode(module.function["ec2_instance/monitor"].function_role_policy).Statement : s.Resource if strcontains(jsonencode(s.Action), "states:StartExecution")
    ] == [module.incident[0].machine_arns.incident]
    error_message = "Monitoring must start the incident machine when a containment is lost, and no other."
  }
  assert {
    condition = alltrue([
      module.function["ec2_instance/monitor"].environment["GDR_MONITOR_ROLE"] == "security/gdr-monitor-ec2-instance",
      module.function["ec2_instance/monitor"].environment["GDR_INCIDENT_MACHINE_ARN"] == module.incident[0].machine_arns.incident,
      [for key, one in module.function : key if contains(keys(one.environment), "GDR_MONITOR_ROLE") || contains(keys(one.environment), "GDR_INCIDENT_MACHINE_ARN")] == ["ec2_instance/monitor"],
      keys(output.monitor_function_arns) == ["ec2_instance"],
      endswith(output.monitor_function_arns.ec2_instance, ":function:gdr-monitor-ec2-instance"),
    ])
    error_message = "Monitoring must know its member role and the incident machine, and no other function either."
  }
  assert {
    condition = {
      for key, one in module.function : local.functions[key].job => {
        tells  = strcontains(one.function_role_policy, "sns:Publish")
        reads  = strcontains(one.function_role_policy, "s3:GetObject")
        writes = strcontains(one.function_role_policy, "s3:PutObject")
        tools  = strcontains(one.function_role_policy, "/tools/*")
        outbox = [for s in jsondecode(one.function_role_policy).Statement : s.Condition if s.Sid == "OutboxIsNotItsOwn"] == []
      }
      } == {
      playbook  = { tells = false, reads = true, writes = true, tools = false, outbox = false }
      monitor   = { tells = false, reads = true, writes = false, tools = false, outbox = false }
      collector = { tells = false, reads = true, writes = true, tools = true, outbox = false }
      restore   = { tells = true, reads = true, writes = true, tools = false, outbox = true }
      terminate = { tells = false, reads = true, writes = false, tools = false, outbox = false }
    }
    error_message = "Only restore may tell people and write to the outbox, only the collector may read tools, terminate and monitoring may write nothing. All must read: a state before over 64 KB is in the bucket."
  }
  assert {
    condition = alltrue([
      for policy in concat([for one in module.function : one.function_role_policy], [for name in ["incident", "watchdog"] : module.incident[0].policies[name]]) : [
        for s in jsondecode(policy).Statement : s.Condition if s.Effect == "Allow" && strcontains(jsonencode(s.Action), "DeleteItem")
      ] == [{ "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["MONITORING", "RESOURCE#*", "WATCHED#*"] }, Null = { "dynamodb:LeadingKeys" = "false" } }]
    ])
    error_message = "Every function may delete leases, slots of checks and the names that events are looked up by, and nothing else."
  }
  assert {
    condition     = keys(local.playbook_functions["ec2_instance"]) == ["act", "collect", "finish", "terminate"]
    error_message = "The machine must know a function for every phase."
  }
}

run "terminate_is_off" {
  command = plan

  variables {
    remediations = { "CryptoCurrency:EC2/*" = "auto" }
    ec2_instance = { finish = "stop" }
  }

  assert {
    condition     = keys(module.function) == ["ec2_instance/collector", "ec2_instance/monitor", "ec2_instance/playbook"] && keys(local.playbook_functions["ec2_instance"]) == ["act", "collect", "finish"]
    error_message = "Without finish = terminate nothing that terminates may exist."
  }
}

run "one_function" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    playbook           = "ec2_instance"
    job                = "restore"
    handler            = "restore"
    member_role        = "restorer"
    description        = "Undoes."
    alarm              = "Something is wrong."
    evidence_actions   = ["s3:PutObject"]
    zip                = "lambda_src/dist/restore_ec2_instance.zip"
    environment        = { GDR_TABLE = "gdr-incidents", GDR_BUCKET = "b", GDR_CONFIG_SHA256 = "0", GDR_NAME_PREFIX = "gdr" }
    table_arn          = "arn:aws:dynamodb:eu-central-1:111111111111:table/gdr-incidents"
    bucket_arn         = "arn:aws:s3:::b"
    kms_key_arn        = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000"
    alarm_topic_arn    = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
    topic_arns         = { notifications = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications", escalations = "arn:aws:sns:eu-central-1:111111111111:gdr-escalations" }
    arn_base           = { partition = "aws", region = "eu-central-1", account_id = "111111111111" }
    functions          = { architecture = "x86_64", memory_size = 1024, vpc = { subnet_ids = [], security_group_ids = [] } }
    log_retention_days = 30
  }

  assert {
    condition = alltrue([
      aws_lambda_function.this.function_name == "gdr-restore-ec2-instance",
      aws_lambda_function.this.handler == "guardduty_response.functions.restore.handler",
      aws_lambda_function.this.timeout == 120,
      coalesce(aws_lambda_function.this.reserved_concurrent_executions, -1) == -1,
      length(aws_lambda_function_event_invoke_config.this) == 0,
      length(aws_cloudwatch_metric_alarm.dropped) == 0,
      aws_lambda_function.this.environment[0].variables["GDR_PLAYBOOK"] == "ec2_instance",
      aws_lambda_function.this.environment[0].variables["GDR_RESPONDER_ROLE"] == "security/gdr-restorer-ec2-instance",
      aws_lambda_function.this.environment[0].variables["GDR_ORGANIZATION_ID"] == "o-a1b2c3d4e5",
      aws_lambda_function.this.environment[0].variables["GDR_ESCALATION_TOPIC_ARN"] == "arn:aws:sns:eu-central-1:111111111111:gdr-escalations",
      aws_iam_role.this.name == "gdr-restore-ec2-instance",
      aws_iam_role.this.path == "/security/",
      aws_iam_role.this.permissions_boundary == "arn:aws:iam::111111111111:policy/boundary",
      aws_cloudwatch_metric_alarm.errors.alarm_actions == toset(["arn:aws:sns:eu-central-1:111111111111:gdr-notifications"]),
    ])
    error_message = "A function must carry the agreed names, path, boundary and environment."
  }
}

run "one_function_for_events" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    playbook           = "ec2_instance"
    job                = "monitor"
    handler            = "monitor"
    member_role        = "monitor"
    description        = "Undoes."
    alarm              = "Something is wrong."
    evidence_actions   = ["s3:GetObject"]
    zip                = "lambda_src/dist/playbook_ec2_instance.zip"
    environment        = { GDR_TABLE = "gdr-incidents", GDR_BUCKET = "b", GDR_CONFIG_SHA256 = "0", GDR_NAME_PREFIX = "gdr" }
    table_arn          = "arn:aws:dynamodb:eu-central-1:111111111111:table/gdr-incidents"
    bucket_arn         = "arn:aws:s3:::b"
    kms_key_arn        = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000"
    alarm_topic_arn    = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
    arn_base           = { partition = "aws", region = "eu-central-1", account_id = "111111111111" }
    functions          = { architecture = "x86_64", memory_size = 1024, vpc = { subnet_ids = [], security_group_ids = [] } }
    log_retention_days = 30

    asynchronous         = true
    reserved_concurrency = 4
  }

  assert {
    condition = alltrue([
      aws_lambda_function.this.function_name == "gdr-monitor-ec2-instance",
      aws_iam_role.this.name == "gdr-monitor-function-ec2-instance",
      aws_lambda_function.this.environment[0].variables["GDR_RESPONDER_ROLE"] == "security/gdr-monitor-ec2-instance",
      aws_lambda_function.this.environment[0].variables["GDR_MONITOR_ROLE"] == "security/gdr-monitor-ec2-instance",
    ])
    error_message = "A function whose member role has its own name must have a role of another name, because both may be in one account."
  }
  assert {
    condition = alltrue([
      aws_lambda_function.this.reserved_concurrent_executions == 4,
      aws_lambda_function_event_invoke_config.this[0].function_name == "gdr-monitor-ec2-instance",
      aws_lambda_function_event_invoke_config.this[0].maximum_retry_attempts == 0,
      aws_lambda_function_event_invoke_config.this[0].maximum_event_age_in_seconds == 300,
    ])
    error_message = "What is invoked as an event must not be repeated by Lambda, and may have concurrency of its own."
  }
  assert {
    condition = alltrue([
      aws_cloudwatch_metric_alarm.dropped[0].alarm_name == "gdr-monitor-ec2-instance-dropped",
      aws_cloudwatch_metric_alarm.dropped[0].namespace == "AWS/Lambda",
      aws_cloudwatch_metric_alarm.dropped[0].metric_name == "AsyncEventsDropped",
      aws_cloudwatch_metric_alarm.dropped[0].dimensions == tomap({ FunctionName = "gdr-monitor-ec2-instance" }),
      aws_cloudwatch_metric_alarm.dropped[0].statistic == "Sum",
      aws_cloudwatch_metric_alarm.dropped[0].alarm_actions == toset(["arn:aws:sns:eu-central-1:111111111111:gdr-notifications"]),
    ])
    error_message = "What Lambda drops, because it was throttled for too long, must not go unnoticed."
  }
}
