# Keys brought along: what their policies must hold, and who publishes to a topic that has a key of its own.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
  name_prefix   = "gdr"
  remediations  = { "CryptoCurrency:EC2/*" = "auto" }
  ec2_instance  = { restore = true }
}

run "one_source_of_statements" {
  command = plan

  variables {
    guardduty = { spend_watch = { monthly_limit_usd = 250 } }
  }

  assert {
    condition     = jsondecode(output.kms_key_policy_statements) == [for s in jsondecode(aws_kms_key.this[0].policy).Statement : s if s.Sid != "IamPoliciesOfThisAccount"]
    error_message = "What a key brought along needs must be what the module's own key has."
  }
  assert {
    condition     = [for s in jsondecode(output.kms_key_policy_statements) : s.Sid] == ["Logs", "EventsAlarmsAndTopics", "BudgetsToOneTopic"]
    error_message = "Logs, rules, alarms, topics and, with a budget, AWS Budgets must be able to use the key."
  }
}

run "key_brought_along" {
  command = plan

  variables {
    kms       = { create = false, key_arn = "arn:aws:kms:eu-central-1:111111111111:key/ours" }
    guardduty = { spend_watch = { monthly_limit_usd = 250, trial_ends_on = "2099-12-31" } }
  }

  assert {
    condition = alltrue([
      length(aws_kms_key.this) == 0,
      jsondecode(output.kms_key_policy_statements)[2].Principal == { Service = "budgets.amazonaws.com" },
      jsondecode(output.kms_key_policy_statements)[2].Condition == { StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications" } },
    ])
    error_message = "With a budget, the key brought along must let AWS Budgets encrypt for the module's topic, and for no other."
  }
  assert {
    condition     = !strcontains(jsonencode([for policy in values(module.incident[0].policies) : policy]), "TopicKeys")
    error_message = "Topics made here have the module's key: no other may be used."
  }
  assert {
    condition     = [for s in jsondecode(module.guardduty[0].spend_watch.trial_notice_policy).Statement : s.Resource if s.Sid == "TopicKey"] == ["arn:aws:kms:eu-central-1:111111111111:key/ours"]
    error_message = "The trial's notice must use the key brought along."
  }
}

run "no_budget" {
  command = plan

  variables {
    kms = { create = false, key_arn = "arn:aws:kms:eu-central-1:111111111111:key/ours" }
  }

  assert {
    condition     = [for s in jsondecode(output.kms_key_policy_statements) : s.Sid] == ["Logs", "EventsAlarmsAndTopics"]
    error_message = "Without a budget, AWS Budgets needs no key."
  }
}

run "topics_with_keys_of_their_own" {
  command = plan

  variables {
    notifications = {
      create_topic      = false
      topic_arn         = "arn:aws:sns:eu-central-1:111111111111:soc"
      topic_kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:key/soc"
      escalation = {
        create_topic      = false
        topic_arn         = "arn:aws:sns:eu-central-1:111111111111:on-call"
        topic_kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:key/on-call"
      }
    }
    guardduty = { spend_watch = { monthly_limit_usd = 250, trial_ends_on = "2099-12-31" } }
  }

  assert {
    condition = alltrue([
      for policy in [module.incident[0].policies.incident, module.incident[0].policies.watchdog, module.function["ec2_instance/restore"].function_role_policy] :
      [for s in jsondecode(policy).Statement : s if s.Sid == "TopicKeys"] == [{
        Sid    = "TopicKeys"
        Effect = "Allow"
        Action = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [
          "arn:aws:kms:eu-central-1:111111111111:key/soc", "arn:aws:kms:eu-central-1:111111111111:key/on-call",
        ]
        Condition = {
          StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = ["arn:aws:sns:eu-central-1:111111111111:soc", "arn:aws:sns:eu-central-1:111111111111:on-call"] }
        }
      }]
    ])
    error_message = "Who publishes to the topics must be able to use their keys, for these topics alone."
  }
  assert {
    condition     = !strcontains(module.function["ec2_instance/playbook"].function_role_policy, "TopicKeys")
    error_message = "Who tells nobody needs no topic's key."
  }
  assert {
    condition     = [for s in jsondecode(module.guardduty[0].spend_watch.trial_notice_policy).Statement : s.Resource if s.Sid == "TopicKey"] == ["arn:aws:kms:eu-central-1:111111111111:key/soc"]
    error_message = "The trial's notice must use the topic's key."
  }
  assert {
    condition     = jsondecode(output.kms_key_policy_statements)[2].Condition == { StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = "arn:aws:sns:eu-central-1:111111111111:soc" } }
    error_message = "AWS Budgets must be able to encrypt for the topic brought along."
  }
}

run "topic_without_a_key" {
  command = plan

  variables {
    notifications = { create_topic = false, topic_arn = "arn:aws:sns:eu-central-1:111111111111:soc" }
    guardduty     = { spend_watch = { trial_ends_on = "2099-12-31" } }
  }

  assert {
    condition     = [for s in jsondecode(module.guardduty[0].spend_watch.trial_notice_policy).Statement : s.Sid] == ["Tell"]
    error_message = "A topic that no key was named for is not encrypted with the key made here."
  }
}

run "key_of_a_topic_made_here" {
  command = plan

  variables {
    notifications = { topic_kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:key/soc" }
  }

  expect_failures = [var.notifications]
}

run "alias_of_an_escalation_topic" {
  command = plan

  variables {
    notifications = { escalation = { create_topic = false, topic_arn = "arn:aws:sns:eu-central-1:111111111111:on-call", topic_kms_key_arn = "alias/on-call" } }
  }

  expect_failures = [var.notifications]
}

run "nothing_created" {
  command = plan

  variables {
    create    = false
    guardduty = { spend_watch = { monthly_limit_usd = 250 } }
  }

  assert {
    condition     = output.kms_key_policy_statements == null
    error_message = "Without anything made there is nothing a key must let in."
  }
}
