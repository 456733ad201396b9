# Off leaves nothing behind; brought along is not made again.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
}

run "create_false" {
  command = plan

  variables {
    create       = false
    remediations = { "CryptoCurrency:EC2/*" = "auto" }
  }

  assert {
    condition     = length(aws_kms_key.this) + length(aws_kms_alias.this) + length(module.guardduty) + length(module.notifications) + length(module.incident) + length(module.function) == 0
    error_message = "create = false must make nothing."
  }
  assert {
    condition = alltrue([
      for value in [
        output.detector_id, output.incident_state_machine_arn, output.notice_state_machine_arn, output.table_name, output.evidence_bucket,
        output.notifications_topic_arn, output.escalations_topic_arn, output.undelivered_queue_url, output.dead_letters_queue_arn, output.kms_key_arn,
      ] : value == null
    ])
    error_message = "With create = false, ids and ARNs must be null."
  }
  assert {
    condition     = output.effective_policy["CryptoCurrency:EC2/BitcoinTool.B"].mode == "auto"
    error_message = "The policy can be reviewed before anything is created."
  }
}

run "nothing_acts" {
  command = plan

  variables {
    remediations = { "*:EC2/*" = "notify", "CryptoCurrency:EC2/*" = "off", "*:S3/*" = "auto" }
  }

  assert {
    condition     = length(module.function) == 0 && length(output.act_event_patterns) == 0 && length(output.member_role_trust["responder"]) == 0
    error_message = "A playbook nothing uses must have no function, no role and no rule."
  }
  assert {
    condition     = output.effective_policy["Discovery:S3/TorIPCaller"].mode == "notify" && output.effective_policy["CryptoCurrency:EC2/BitcoinTool.B"].mode == "off"
    error_message = "Types without a playbook are told of; off stays off."
  }
}

run "one_account_acts" {
  command = plan

  variables {
    account_remediations = { "222222222222" = { "CryptoCurrency:EC2/BitcoinTool.B!DNS" = "dry_run" } }
  }

  assert {
    condition     = keys(module.function) == ["ec2_instance/collector", "ec2_instance/monitor", "ec2_instance/playbook"] && jsondecode(output.act_event_patterns[0]).detail.type == ["CryptoCurrency:EC2/BitcoinTool.B!DNS"]
    error_message = "An exception of one account must be enough for the playbook and the rule act."
  }
}

run "brought_along" {
  command = plan

  variables {
    kms      = { create = false, key_arn = "arn:aws:kms:eu-central-1:111111111111:key/11111111-1111-1111-1111-111111111111" }
    evidence = { create_bucket = false, bucket_arn = "arn:aws:s3:::ours" }
    notifications = {
      create_topic = false
      topic_arn    = "arn:aws:sns:eu-central-1:111111111111:ours"
      escalation   = { create_topic = false }
    }
  }

  assert {
    condition = alltrue([
      length(aws_kms_key.this) == 0,
      output.kms_key_arn == "arn:aws:kms:eu-central-1:111111111111:key/11111111-1111-1111-1111-111111111111",
      output.detector_id == null,
      output.evidence_bucket == "ours",
      output.notifications_topic_arn == "arn:aws:sns:eu-central-1:111111111111:ours",
      output.escalations_topic_arn == output.notifications_topic_arn,
    ])
    error_message = "What is brought along must be used, and without an escalation topic the notifications topic takes escalations."
  }
}

run "key_policy" {
  command = plan

  assert {
    condition = aws_kms_key.this[0].enable_key_rotation && alltrue([
      for service in ["logs.eu-central-1.amazonaws.com", "events.amazonaws.com", "cloudwatch.amazonaws.com", "sns.amazonaws.com"] :
      strcontains(aws_kms_key.this[0].policy, service)
    ])
    error_message = "The key must rotate and be usable by the services that deliver through it."
  }
}
