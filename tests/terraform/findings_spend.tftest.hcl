# What GuardDuty costs: a budget of that service alone, and a word before the free trial ends; a date in the past does nothing.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name_prefix  = "gdr"
  arn_base     = { partition = "aws", region = "eu-central-1", account_id = "111111111111" }
  notify_topic = true
  topic_arn    = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"
  iam          = { path = "/security/", permissions_boundary = "arn:aws:iam::111111111111:policy/boundary" }
}

run "budget" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    monthly_limit_usd = 99.5
    thresholds        = { actual = [50, 100], forecast = [120] }
    email_addresses   = ["finance@example.org"]
  }

  assert {
    condition = alltrue([
      aws_budgets_budget.this[0].name == "gdr-guardduty", aws_budgets_budget.this[0].budget_type == "COST", aws_budgets_budget.this[0].time_unit == "MONTHLY",
      aws_budgets_budget.this[0].limit_amount == "99.5", aws_budgets_budget.this[0].limit_unit == "USD",
      [for filter in aws_budgets_budget.this[0].cost_filter : [filter.name, filter.values]] == [["Service", tolist(["Amazon GuardDuty"])]],
      length(aws_scheduler_schedule.notice) + length(aws_iam_role.notice) == 0,
    ])
    error_message = "The budget must be a monthly one for Amazon GuardDuty alone; without a date there is no notice."
  }
  assert {
    condition = { for n in aws_budgets_budget.this[0].notification : "${n.notification_type} ${n.threshold}" => [n.threshold_type, n.comparison_operator, join(",", n.subscriber_email_addresses), join(",", n.subscriber_sns_topic_arns)] } == {
      "ACTUAL 50"      = ["PERCENTAGE", "GREATER_THAN", "finance@example.org", "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"]
      "ACTUAL 100"     = ["PERCENTAGE", "GREATER_THAN", "finance@example.org", "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"]
      "FORECASTED 120" = ["PERCENTAGE", "GREATER_THAN", "finance@example.org", "arn:aws:sns:eu-central-1:111111111111:gdr-notifications"]
    }
    error_message = "Every threshold must tell the addresses and the topic."
  }
}

run "nothing" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  assert {
    condition     = length(aws_budgets_budget.this) + length(aws_scheduler_schedule.notice) + length(aws_iam_role.notice) + length(aws_iam_role_policy.notice) == 0 && output.trial_notice_at == null
    error_message = "Nothing asked for, nothing made."
  }
}

run "trial_ends_later" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    trial_ends_on     = "2099-03-02"
    trial_notice_days = 3
    topic_encrypted   = true
    topic_kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000"
  }

  assert {
    condition = alltrue([
      aws_scheduler_schedule.notice[0].schedule_expression == "at(2099-02-27T09:00:00)", aws_scheduler_schedule.notice[0].schedule_expression_timezone == "UTC",
      aws_scheduler_schedule.notice[0].target[0].arn == "arn:aws:sns:eu-central-1:111111111111:gdr-notifications", aws_scheduler_schedule.notice[0].flexible_time_window[0].mode == "OFF",
      strcontains(aws_scheduler_schedule.notice[0].target[0].input, "account 111111111111 (eu-central-1) ends on 2099-03-02"),
      output.trial_notice_at == "2099-02-27T09:00:00Z",
    ])
    error_message = "The topic must be told once, at 09:00 UTC three days before, with account, Region and day."
  }
  assert {
    condition = alltrue([
      aws_iam_role.notice[0].path == "/security/", aws_iam_role.notice[0].permissions_boundary == "arn:aws:iam::111111111111:policy/boundary",
      jsondecode(aws_iam_role.notice[0].assume_role_policy).Statement == [{
        Sid       = "Scheduler", Effect = "Allow", Principal = { Service = "scheduler.amazonaws.com" }, Action = "sts:AssumeRole"
        Condition = { StringEquals = { "aws:SourceAccount" = "111111111111", "aws:SourceArn" = "arn:aws:scheduler:eu-central-1:111111111111:schedule-group/default" } }
      }],
      jsondecode(aws_iam_role_policy.notice[0].policy).Statement == [
        { Sid = "Tell", Effect = "Allow", Action = "sns:Publish", Resource = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications" },
        { Sid = "TopicKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000", Condition = { StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = "arn:aws:sns:eu-central-1:111111111111:gdr-notifications" } } },
      ],
    ])
    error_message = "The role must be Scheduler's of this account, and publish to this topic only."
  }
}

run "trial_ended" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    trial_ends_on = "2020-02-29"
  }

  assert {
    condition     = length(aws_scheduler_schedule.notice) + length(aws_iam_role.notice) == 0 && output.trial_notice_at == null
    error_message = "A date in the past must make nothing, and fail nothing."
  }
}

run "trial_ends_this_week" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    trial_ends_on = formatdate("YYYY-MM-DD", timeadd(timestamp(), "72h"))
  }

  expect_failures = [check.guardduty_trial]
}

run "trial_ends_today" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    trial_ends_on = formatdate("YYYY-MM-DD", timestamp())
  }

  expect_failures = [check.guardduty_trial]
}

run "trial_ended_yesterday" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    trial_ends_on = formatdate("YYYY-MM-DD", timeadd(timestamp(), "-24h"))
  }

  assert {
    condition     = length(aws_scheduler_schedule.notice) == 0
    error_message = "The day after, plans are quiet again."
  }
}

run "without_a_topic" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    notify_topic      = false
    topic_arn         = null
    monthly_limit_usd = 10
    email_addresses   = ["finance@example.org"]
    trial_ends_on     = "2099-03-02"
  }

  assert {
    condition     = length(aws_scheduler_schedule.notice) == 0 && alltrue([for n in aws_budgets_budget.this[0].notification : length(coalesce(n.subscriber_sns_topic_arns, [])) == 0])
    error_message = "Without a topic, e-mail alone."
  }
}

run "no_limit" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    monthly_limit_usd = 0
  }

  expect_failures = [var.monthly_limit_usd]
}

run "nobody_to_tell" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    notify_topic      = false
    monthly_limit_usd = 10
  }

  expect_failures = [var.monthly_limit_usd]
}

run "no_thresholds" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    monthly_limit_usd = 10
    thresholds        = { actual = [], forecast = [] }
  }

  expect_failures = [var.thresholds]
}

run "eleven_thresholds" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    monthly_limit_usd = 10
    thresholds        = { actual = [for n in range(11) : n + 1], forecast = [] }
  }

  expect_failures = [var.thresholds]
}

run "threshold_zero" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    monthly_limit_usd = 10
    thresholds        = { actual = [0] }
  }

  expect_failures = [var.thresholds]
}

run "same_threshold" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    monthly_limit_usd = 10
    thresholds        = { actual = [80, 80] }
  }

  expect_failures = [var.thresholds]
}

run "bad_address" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    monthly_limit_usd = 10
    email_addresses   = ["finance"]
  }

  expect_failures = [var.email_addresses]
}

run "eleven_addresses" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    monthly_limit_usd = 10
    email_addresses   = [for n in range(11) : "a${n}@example.org"]
  }

  expect_failures = [var.email_addresses]
}

run "topic_missing" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    topic_arn = null
  }

  expect_failures = [var.topic_arn]
}

run "topic_of_another_account" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    topic_arn = "arn:aws:sns:eu-central-1:222222222222:x"
  }

  expect_failures = [var.topic_arn]
}

run "key_alias" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    topic_encrypted   = true
    topic_kms_key_arn = "alias/x"
  }

  expect_failures = [var.topic_kms_key_arn]
}

run "not_a_day" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    trial_ends_on = "2026-02-30"
  }

  expect_failures = [var.trial_ends_on]
}

run "not_a_date" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    trial_ends_on = "in a month"
  }

  expect_failures = [var.trial_ends_on]
}

run "too_early" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    trial_notice_days = 30
  }

  expect_failures = [var.trial_notice_days]
}
