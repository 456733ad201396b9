# The watch over containment that stands: its rules, and what switches them.

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

  account_id         = "111111111111"
  partition          = "aws"
  config_json        = jsonencode({ version = 1 })
  paused             = false
  act_patterns       = [jsonencode({ source = ["aws.guardduty"] })]
  playbook_functions = { ec2_instance = { act = "arn:aws:lambda:eu-central-1:111111111111:function:gdr-playbook-ec2-instance" } }
  zips               = { incident = "lambda_src/dist/incident.zip", watchdog = "lambda_src/dist/watchdog.zip" }
  timeout_seconds    = 3600
  topic_arns = {
    notifications = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
    escalations   = "arn:aws:sns:eu-central-1:111111111111:gdr-escalations"
  }
  evidence = { create_bucket = true, force_destroy = false, log_retention_days = 30, object_lock = { mode = "GOVERNANCE", days = 30 } }
}

run "schedule_only" {
  command = plan

  module {
    source = "./modules/incident"
  }

  variables {
    watch = { cloudtrail = false }
  }

  assert {
    condition = alltrue([
      aws_cloudwatch_event_rule.watch[0].schedule_expression == "rate(1 minute)",
      length(aws_cloudwatch_event_rule.changes) == 0,
      !contains(keys(aws_cloudwatch_event_target.this), "changes"),
      !contains(keys(aws_lambda_permission.watchdog), "changes"),
    ])
    error_message = "Without CloudTrail's events only the schedule must be left."
  }
}
