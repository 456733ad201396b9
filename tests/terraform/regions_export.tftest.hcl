# Export of findings is a setting of each Region: other Regions do as home does, unless they say otherwise.

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
    guardduty           = {}
    forensics           = { when = "off", packet_capture_seconds = 20, timeout_minutes = 30, memory = {}, commands = { linux = [], windows = [] }, account_ids = [] }
  }
}

run "as_at_home" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    home = merge(var.home, { guardduty = { findings_export = { create = true, prefix = "gd", expire_after_days = 400, object_lock = { mode = "GOVERNANCE", days = 30 } } } })
  }

  assert {
    condition = alltrue([
      output.findings_export != null,
      output.findings_export.bucket_name == "gdr-findings-111111111111-eu-west-1",
      jsondecode(output.findings_export.key_policy_statement).Condition.StringEquals["aws:SourceArn"] == "arn:aws:guardduty:eu-west-1:111111111111:detector/12abc34d567e8fa901bc2d34e56789f0",
      jsondecode(output.findings_export.bucket_policy_statements)[1].Resource == "arn:aws:s3:::gdr-findings-111111111111-eu-west-1/gd/*",
      local.export.expire_after_days == 400, local.export.object_lock.days == 30, local.export.bucket_arn == null, local.export.kms_key_arn == null,
    ])
    error_message = "A Region must export its findings as home does, to a bucket and under a key of its own."
  }
}

run "brought_along" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    home = merge(var.home, { guardduty = { findings_export = { create = true, create_bucket = false, bucket_arn = "arn:aws:s3:::archive", create_key = false, kms_key_arn = "arn:aws:kms:us-east-1:111111111111:key/home", prefix = "gd" } } })
  }

  assert {
    condition = alltrue([
      output.findings_export.bucket_name == "archive",
      output.findings_export.kms_key_arn == "arn:aws:kms:us-east-1:111111111111:key/home",
      jsondecode(output.findings_export.bucket_policy_statements)[1].Sid == "GuardDutyWritesFindingsEuWest1",
    ])
    error_message = "What home brought along takes this Region's findings too, by statements of its own."
  }
}

run "brought_along_at_home_made_here" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    home            = merge(var.home, { guardduty = { findings_export = { create = true, create_bucket = false, bucket_arn = "arn:aws:s3:::archive", create_key = false, kms_key_arn = "arn:aws:kms:us-east-1:111111111111:key/home", prefix = "gd" } } })
    findings_export = { create_bucket = true, create_key = true, force_destroy = true }
  }

  assert {
    condition = alltrue([
      output.findings_export.bucket_name == "gdr-findings-111111111111-eu-west-1",
      local.export.bucket_arn == null, local.export.kms_key_arn == null, local.export.force_destroy, local.export.prefix == "gd",
    ])
    error_message = "A Region may have a bucket and a key of its own."
  }
}

run "made_at_home_brought_along_here" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    home            = merge(var.home, { guardduty = { findings_export = { create = true, prefix = "gd", expire_after_days = 400, object_lock = { mode = "GOVERNANCE", days = 30 } } } })
    findings_export = { create_bucket = false, bucket_arn = "arn:aws:s3:::here", create_key = false, kms_key_arn = "arn:aws:kms:eu-west-1:111111111111:key/here" }
  }

  assert {
    condition = alltrue([
      output.findings_export.bucket_name == "here", output.findings_export.kms_key_arn == "arn:aws:kms:eu-west-1:111111111111:key/here",
      local.export.expire_after_days == null, local.export.object_lock == null,
    ])
    error_message = "A bucket brought along has its own lifecycle and lock."
  }
}

run "left_out" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    home            = merge(var.home, { guardduty = { findings_export = { create = true, prefix = "gd", expire_after_days = 400, object_lock = { mode = "GOVERNANCE", days = 30 } } } })
    findings_export = { create = false }
  }

  assert {
    condition = alltrue([
      output.findings_export == null,
    ])
    error_message = "A Region may be left out."
  }
}

run "only_here" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    home            = merge(var.home, { guardduty = { findings_export = {} } })
    findings_export = { create = true }
  }

  assert {
    condition = alltrue([
      output.findings_export != null,
    ])
    error_message = "A Region may export while home does not."
  }
}

run "left_out_and_yet_configured" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    home            = merge(var.home, { guardduty = { findings_export = { create = true, prefix = "gd", expire_after_days = 400, object_lock = { mode = "GOVERNANCE", days = 30 } } } })
    findings_export = { create = false, prefix = "x" }
  }

  expect_failures = [var.findings_export]
}

run "bucket_of_home_key_of_here" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    home = merge(var.home, { guardduty = { findings_export = { create = true, create_bucket = false, bucket_arn = "arn:aws:s3:::archive" } } })
  }

  expect_failures = [output.findings_export]
}
