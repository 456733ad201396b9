# What is handed over, and what is said of this Region: nothing is dropped in silence.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan

  override_data {
    target = module.guardduty[0].data.aws_service.here
    values = { region = "eu-west-1" }
  }
  override_resource {
    target = module.forwarder.aws_cloudwatch_event_rule.this["findings"]
    values = { arn = "arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-findings" }
  }
}

variables {
  home = {
    name_prefix         = "gdr"
    home_region         = "us-east-1"
    forwarder           = { event_bus_arn = "arn:aws:events:us-east-1:111111111111:event-bus/default", rules = { findings = { description = "Findings.", pattern = "{}" } } }
    security_account_id = "111111111111"
    iam                 = { path = "/" }
    tags                = {}
    guardduty           = { malware_protection_s3 = {}, spend_watch = { monthly_limit_usd = null }, newer = true }
    forensics           = { when = "off", packet_capture_seconds = 20, timeout_minutes = 30, memory = {}, commands = { linux = [], windows = [] }, account_ids = [] }
    newer               = true
  }
}

run "a_newer_home" {
  command = plan

  module {
    source = "./modules/region"
  }

  assert {
    condition     = output.detector_id == "12abc34d567e8fa901bc2d34e56789f0" && local.handed_over.newer && local.home.newer && local.home.spend_watch.monthly_limit_usd == null
    error_message = "What a newer release hands over must be taken, and kept."
  }
  assert {
    condition     = module.settings.problems == [] && module.organization_settings.problems == []
    error_message = jsonencode(concat(module.settings.problems, module.organization_settings.problems))
  }
}

run "half_a_home" {
  command = plan

  module {
    source = "./modules/region"
  }
  variables {
    home = { name_prefix = "gdr" }
  }

  expect_failures = [var.home]
}

run "misspelt_detector" {
  command = plan

  module {
    source = "./modules/region"
  }
  variables {
    detector = { featurs = { LAMBDA_NETWORK_LOGS = "DISABLED" } }
  }

  expect_failures = [output.detector_id]
}

run "misspelt_export" {
  command = plan

  module {
    source = "./modules/region"
  }
  variables {
    findings_export = { bucket = "arn:aws:s3:::archive" }
  }

  expect_failures = [output.detector_id]
}

run "misspelt_organization" {
  command = plan

  module {
    source = "./modules/region"
  }
  variables {
    organization = { member = {} }
  }

  expect_failures = [output.region]
}
