# Around the findings, from the module's own variables: off unless set, and a topic and a key that let AWS Budgets in.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
}

run "off_by_default" {
  command = plan

  assert {
    condition     = length(module.guardduty) == 0
    error_message = "Nothing of GuardDuty may be touched unless it is asked for."
  }
  assert {
    condition     = output.suppression_filters == {} && output.ip_list_locations == {} && output.findings_export == null && output.malware_protection_plans == {} && output.spend_watch == null
    error_message = "Outputs of what is off must be empty."
  }
  assert {
    condition     = !strcontains(aws_kms_key.this[0].policy, "budgets.amazonaws.com")
    error_message = "Budgets must not use the key while there is no budget."
  }
}

run "all_on" {
  command = plan

  variables {
    guardduty = {
      suppression_filters   = [{ name = "own-scanner", criteria = { type = { equals = ["Recon:EC2/Portscan"] } } }]
      trusted_ip_lists      = { office = { addresses = ["198.51.100.7"] } }
      threat_lists          = { feed = { location = "s3://feeds/list.txt", format = "TXT" } }
      findings_export       = { create = true, prefix = "gd" }
      malware_protection_s3 = { uploads = {} }
      spend_watch           = { monthly_limit_usd = 250, trial_ends_on = "2099-12-31" }
    }
  }

  assert {
    condition = alltrue([
      output.suppression_filters["own-scanner"].rank == 1,
      keys(output.ip_list_locations) == ["threat/feed", "trusted/office"],
      output.findings_export.bucket_name == "guardduty-response-findings-111111111111-eu-central-1",
      jsondecode(output.findings_export.key_policy_statement).Condition.StringEquals["aws:SourceArn"] == "arn:aws:guardduty:eu-central-1:111111111111:detector/12abc34d567e8fa901bc2d34e56789f0",
      keys(output.malware_protection_plans) == ["uploads"],
      output.spend_watch.budget_name == "guardduty-response-guardduty", output.spend_watch.trial_notice_at == "2099-12-26T09:00:00Z",
    ])
    error_message = "Every part must be made, for this account, Region and detector."
  }
  assert {
    condition = [for s in jsondecode(aws_kms_key.this[0].policy).Statement : s if s.Sid == "BudgetsToOneTopic"] == [{
      Sid       = "BudgetsToOneTopic", Effect = "Allow", Principal = { Service = "budgets.amazonaws.com" }, Action = ["kms:Decrypt", "kms:GenerateDataKey*"], Resource = "*"
      Condition = { StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = "arn:aws:sns:eu-central-1:111111111111:guardduty-response-notifications" } }
    }]
    error_message = "Budgets must be able to encrypt for the notifications topic, and for nothing else."
  }
}

run "topics_let_budgets_in" {
  command = plan

  module {
    source = "./modules/notifications"
  }

  variables {
    name_prefix   = "gdr"
    kms_key_arn   = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000"
    arn_base      = { partition = "aws", region = "eu-central-1", account_id = "111111111111" }
    budget_alerts = true
    topics        = { notifications = { create = true }, escalations = { create = true } }
  }

  assert {
    condition = {
      for suffix, topic in aws_sns_topic.this : suffix => [for s in jsondecode(topic.policy).Statement : [s.Action, s.Resource, s.Condition] if s.Principal == { Service = "budgets.amazonaws.com" }]
      } == {
      escalations = []
      notifications = [["sns:Publish", "arn:aws:sns:eu-central-1:111111111111:gdr-notifications", {
        ArnLike      = { "aws:SourceArn" = "arn:aws:budgets::111111111111:*" }
        StringEquals = { "aws:SourceAccount" = "111111111111" }
      }]]
    }
    error_message = "Budgets of this account may publish to the notifications topic, and to no other."
  }
}

run "topics_let_nobody_else_in" {
  command = plan

  module {
    source = "./modules/notifications"
  }

  variables {
    name_prefix = "gdr"
    kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000"
    arn_base    = { partition = "aws", region = "eu-central-1", account_id = "111111111111" }
    topics      = { notifications = { create = true } }
  }

  assert {
    condition     = !strcontains(aws_sns_topic.this["notifications"].policy, "budgets")
    error_message = "Without a budget the topic must not know of AWS Budgets."
  }
}

run "only_on" {
  command = plan

  variables {
    guardduty = {}
  }

  assert {
    condition = alltrue([
      output.detector_features["S3_DATA_EVENTS"] == "ENABLED",
      output.suppression_filters == {}, output.ip_list_locations == {}, output.findings_export == null, output.malware_protection_plans == {}, output.spend_watch == null,
    ])
    error_message = "With {} GuardDuty is on, and nothing around the findings is made."
  }
}

# A response that goes leaves detection as it is.
run "without_the_response" {
  command = plan

  variables {
    create = false
    guardduty = {
      suppression_filters   = [{ name = "own-scanner", criteria = { type = { equals = ["Recon:EC2/Portscan"] } } }]
      threat_lists          = { feed = { location = "s3://feeds/list.txt", format = "TXT" } }
      findings_export       = { create = true }
      malware_protection_s3 = { uploads = {} }
      spend_watch           = { monthly_limit_usd = 250, trial_ends_on = "2099-12-31" }
    }
  }

  assert {
    condition = alltrue([
      length(module.incident) == 0, output.detector_id == "12abc34d567e8fa901bc2d34e56789f0", keys(output.suppression_filters) == ["own-scanner"],
      keys(output.ip_list_locations) == ["threat/feed"], output.findings_export.bucket_name == "guardduty-response-findings-111111111111-eu-central-1",
      keys(output.malware_protection_plans) == ["uploads"],
    ])
    error_message = "create = false must leave GuardDuty as it is."
  }
  assert {
    condition     = output.spend_watch == null
    error_message = "A budget that notifies the response's topic alone goes with it."
  }
}

run "a_budget_with_addresses_without_the_response" {
  command = plan

  variables {
    create    = false
    guardduty = { spend_watch = { monthly_limit_usd = 250, email_addresses = ["finance@example.org"] } }
  }

  assert {
    condition     = output.spend_watch.budget_name == "guardduty-response-guardduty"
    error_message = "A budget with addresses of its own must stay."
  }
}

run "filters_need_a_detector" {
  command = plan

  module {
    source = "./modules/guardduty"
  }

  variables {
    detector            = { create = false }
    suppression_filters = [{ name = "own-scanner", criteria = { type = { equals = ["Recon:EC2/Portscan"] } } }]
  }

  expect_failures = [var.suppression_filters]
}

run "trusted_lists_need_a_detector" {
  command = plan

  module {
    source = "./modules/guardduty"
  }

  variables {
    detector         = { create = false }
    trusted_ip_lists = { office = { addresses = ["198.51.100.7"] } }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "threat_lists_need_a_detector" {
  command = plan

  module {
    source = "./modules/guardduty"
  }

  variables {
    detector     = { create = false }
    threat_lists = { feed = { location = "s3://feeds/list.txt", format = "TXT" } }
  }

  expect_failures = [var.threat_lists]
}

run "export_needs_a_detector" {
  command = plan

  module {
    source = "./modules/guardduty"
  }

  variables {
    detector        = { create = false }
    findings_export = { create = true }
  }

  expect_failures = [var.findings_export]
}

run "export_needs_its_switch" {
  command = plan

  module {
    source = "./modules/guardduty"
  }

  variables {
    findings_export = { prefix = "gd" }
  }

  expect_failures = [var.findings_export]
}

run "addresses_need_a_budget" {
  command = plan

  module {
    source = "./modules/guardduty"
  }

  variables {
    spend_watch = { email_addresses = ["finance@example.org"] }
  }

  expect_failures = [var.spend_watch]
}

run "misspelt_topic" {
  command = plan

  module {
    source = "./modules/guardduty"
  }

  variables {
    topic = { arn = "arn:aws:sns:eu-central-1:111111111111:soc", encryption = true }
  }

  expect_failures = [var.topic]
}

run "topic_without_its_arn" {
  command = plan

  module {
    source = "./modules/guardduty"
  }

  variables {
    topic = { encrypted = true }
  }

  expect_failures = [var.topic]
}

run "misspelt_iam" {
  command = plan

  module {
    source = "./modules/guardduty"
  }

  variables {
    iam = { boundary = "arn:aws:iam::111111111111:policy/boundary" }
  }

  expect_failures = [var.iam]
}
