# The home Region: what its bus takes from member accounts, and what other Regions are told; then modules/region with that.

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
  override_resource {
    target = module.forwarder.aws_cloudwatch_event_rule.this["changes"]
    values = { arn = "arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-changes" }
  }
  override_resource {
    target = module.forwarder.aws_cloudwatch_event_rule.this["changes-2"]
    values = { arn = "arn:aws:events:eu-west-1:111111111111:rule/gdr-forward-changes-2" }
  }
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
  name_prefix   = "gdr"
}

run "home" {
  command = plan

  variables {
    remediations     = { "CryptoCurrency:EC2/BitcoinTool.B!DNS" = "auto" }
    organization_id  = "o-a1b2c3d4e5"
    iam              = { path = "/security/" }
    event_forwarding = { from_organization = true }
    forensics        = { when = "before", account_ids = ["222222222222"] }
    tags             = { team = "security" }
    evidence         = { forensics_account = { account_id = "333333333333", kms_key_arn = "arn:aws:kms:eu-central-1:333333333333:key/k" } }
    guardduty = {
      suppression_filters = [{ name = "scanner", criteria = { type = { equals = ["Recon:EC2/PortProbeUnprotectedPort"] } } }]
      findings_export     = { create = true, prefix = "gd" }
    }
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_bus_policy.default[0].policy).Statement == [{
      Sid       = "ChangesInMemberAccounts"
      Effect    = "Allow"
      Principal = "*"
      Action    = "events:PutEvents"
      Resource  = "arn:aws:events:eu-central-1:111111111111:event-bus/default"
      Condition = {
        StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5", "events:detail-type" = "AWS API Call via CloudTrail" }
        ArnLike      = { "aws:PrincipalArn" = "arn:aws:iam::*:role/security/gdr-forwarder-*" }
      }
    }] && aws_cloudwatch_event_bus_policy.default[0].event_bus_name == "default"
    error_message = "The bus must take CloudTrail changes of this organization's forwarders, and nothing else."
  }
  assert {
    condition     = jsondecode(output.event_bus_policy_statement) == jsondecode(aws_cloudwatch_event_bus_policy.default[0].policy).Statement[0]
    error_message = "The statement for a policy managed elsewhere must be the same."
  }
  assert {
    condition = alltrue([
      output.event_bus_arn == "arn:aws:events:eu-central-1:111111111111:event-bus/default",
      output.for_other_regions.forwarder.event_bus_arn == output.event_bus_arn,
      output.for_other_regions.home_region == "eu-central-1",
      output.for_other_regions.security_account_id == "111111111111",
      output.for_other_regions.name_prefix == "gdr",
      output.for_other_regions.organization_id == "o-a1b2c3d4e5",
      output.for_other_regions.iam.path == "/security/",
      output.for_other_regions.tags == tomap({ team = "security" }),
      join(" ", keys(output.for_other_regions.forwarder.rules)) == "changes findings",
      output.for_other_regions.forensics.when == "before",
      output.for_other_regions.forensics.account_ids == tolist(["222222222222"]),
      !output.for_other_regions.guardduty.organization.manage,
      output.for_other_regions.forensics_key_arn == "arn:aws:kms:eu-central-1:333333333333:key/k",
      output.for_other_regions.guardduty.suppression_filters[0].name == "scanner",
      output.for_other_regions.guardduty.findings_export.create && output.for_other_regions.guardduty.findings_export.prefix == "gd",
    ])
    error_message = "Other Regions must be told all they need."
  }
}

run "home_beside_another_policy" {
  command = plan

  variables {
    organization_id = "o-a1b2c3d4e5"
    event_forwarding = {
      from_organization = true
      more_statements   = ["{\"Sid\":\"Ours\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"222222222222\"},\"Action\":\"events:PutEvents\",\"Resource\":\"arn:aws:events:eu-central-1:111111111111:event-bus/default\"}"]
    }
  }

  assert {
    condition     = [for statement in jsondecode(aws_cloudwatch_event_bus_policy.default[0].policy).Statement : statement.Sid] == ["ChangesInMemberAccounts", "Ours"]
    error_message = "What else the bus lets in must stay in its policy."
  }
}

run "home_whose_policy_is_elsewhere" {
  command = plan

  variables {
    organization_id  = "o-a1b2c3d4e5"
    event_forwarding = { from_organization = true, manage_policy = false }
  }

  assert {
    condition     = length(aws_cloudwatch_event_bus_policy.default) == 0 && output.event_bus_policy_statement != null
    error_message = "The bus's policy must be left alone, and the statement handed out."
  }
}

run "home_closed" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_event_bus_policy.default) == 0 && output.event_bus_policy_statement == null
    error_message = "By default the bus takes nothing from other accounts."
  }
}

run "home_of_nothing" {
  command = plan

  variables {
    create           = false
    organization_id  = "o-a1b2c3d4e5"
    event_forwarding = { from_organization = true }
  }

  assert {
    condition     = length(aws_cloudwatch_event_bus_policy.default) == 0 && output.event_bus_arn == null && output.event_bus_policy_statement == null && output.for_other_regions.forwarder == null && output.for_other_regions.guardduty == null
    error_message = "With create = false nothing may be opened, and without guardduty nothing of it is touched elsewhere."
  }
}

run "forwarding_without_an_organization" {
  command = plan

  variables {
    event_forwarding = { from_organization = true }
  }

  expect_failures = [var.event_forwarding]
}

run "statements_without_a_policy" {
  command = plan

  variables {
    organization_id  = "o-a1b2c3d4e5"
    event_forwarding = { from_organization = true, manage_policy = false, more_statements = ["{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"events:PutEvents\",\"Resource\":\"*\"}"] }
  }

  expect_failures = [var.event_forwarding]
}

run "statements_that_are_none" {
  command = plan

  variables {
    organization_id  = "o-a1b2c3d4e5"
    event_forwarding = { from_organization = true, more_statements = ["{\"Effect\":\"Allow\"}"] }
  }

  expect_failures = [var.event_forwarding]
}

# --- modules/region -------------------------------------------------------------------------------------------------------

run "region" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    home = {
      name_prefix         = "gdr"
      home_region         = "us-east-1"
      forwarder           = { event_bus_arn = "arn:aws:events:us-east-1:111111111111:event-bus/default", rules = { findings = { description = "Findings.", pattern = "{}" }, changes = { description = "Calls.", pattern = "{}" } } }
      security_account_id = "111111111111"
      organization_id     = "o-a1b2c3d4e5"
      iam                 = { path = "/security/", permissions_boundary = "arn:aws:iam::111111111111:policy/boundary" }
      tags                = { team = "security", stage = "prod" }
      guardduty = {
        detector            = { finding_publishing_frequency = "ONE_HOUR", features = { LAMBDA_NETWORK_LOGS = "DISABLED", RDS_LOGIN_EVENTS = "DISABLED" } }
        organization        = { manage = true, auto_enable_members = "NEW", features = { S3_DATA_EVENTS = "NEW" }, members = { "222222222222" = "a@example.com" }, member_features = { "222222222222" = { S3_DATA_EVENTS = "DISABLED" } } }
        suppression_filters = [{ name = "scanner", criteria = { type = { equals = ["Recon:EC2/PortProbeUnprotectedPort"] } } }]
        threat_lists        = { known = { location = "s3://lists/known.txt", format = "TXT" } }
      }
      forensics         = { when = "before", packet_capture_seconds = 10, timeout_minutes = 20, memory = {}, commands = { linux = ["id"], windows = [] }, account_ids = ["222222222222"], deadline_seconds = 60 }
      forensics_key_arn = "arn:aws:kms:us-east-1:333333333333:key/mrk-0123456789abcdef0123456789abcdef"
    }
    detector        = { features = { RDS_LOGIN_EVENTS = "UNMANAGED" } }
    organization    = { auto_enable_members = "ALL", members = {} }
    email_addresses = ["a@example.com"]
    tags            = { stage = "away" }
  }

  assert {
    condition = alltrue([
      output.region == "eu-west-1",
      output.detector_id == "12abc34d567e8fa901bc2d34e56789f0",
      module.guardduty[0].features.LAMBDA_NETWORK_LOGS == "DISABLED",
      module.guardduty[0].features.S3_DATA_EVENTS == "ENABLED",
      !contains(keys(module.guardduty[0].features), "RDS_LOGIN_EVENTS"),
      module.guardduty[0].organization_features.S3_DATA_EVENTS == "NEW",
      module.guardduty[0].member_features["222222222222"].S3_DATA_EVENTS == "DISABLED",
    ])
    error_message = "The detector must be the home's, but for what is said of this Region."
  }
  assert {
    condition = alltrue([
      module.forwarder.role_name == "gdr-forwarder-eu-west-1",
      toset(keys(module.forwarder.event_patterns)) == toset(["findings", "changes"]),
      output.alarm_topic_arn != null,
      length(module.forensics) == 1,
      strcontains(module.forensics[0].content, "GDR_TIMEOUT='1200'"),
      strcontains(module.forensics[0].content, "GDR_CAPTURE_SECONDS='10'"),
      module.forensics[0].document_name == "gdr-forensics",
      local.tags == tomap({ team = "security", stage = "away" }),
    ])
    error_message = "Forwarder and forensics document must be those of the home's settings."
  }
  assert {
    condition     = keys(module.guardduty[0].suppression_filters) == ["scanner"] && keys(module.guardduty[0].ip_list_locations) == ["threat/known"]
    error_message = "What is suppressed and known as a threat at home must be so here."
  }
}

run "region_without_extras" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    home = {
      name_prefix         = "gdr"
      home_region         = "us-east-1"
      forwarder           = { event_bus_arn = "arn:aws:events:us-east-1:111111111111:event-bus/default", rules = { findings = { description = "Findings.", pattern = "{}" } } }
      security_account_id = "111111111111"
      iam                 = { path = "/" }
      tags                = {}
      guardduty = {
        detector     = { finding_publishing_frequency = "FIFTEEN_MINUTES", features = {} }
        organization = { manage = false, auto_enable_members = "ALL", features = {}, members = {}, member_features = {} }
      }
      forensics = { when = "off", packet_capture_seconds = 20, timeout_minutes = 30, memory = {}, commands = { linux = [], windows = [] }, account_ids = [] }
    }
    detector = { create = false, id = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
  }

  assert {
    condition = alltrue([
      keys(module.forwarder.event_patterns) == ["findings"],
      output.detector_id == "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      output.detector_arn == "arn:aws:guardduty:eu-west-1:111111111111:detector/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      output.forensics_document_arn == null,
      output.alarm_topic_arn == null,
      module.guardduty[0].suppression_filters == {} && module.guardduty[0].ip_list_locations == {},
      output.findings_export == null,
    ])
    error_message = "What is off at home must be off here: no changes, no document; a detector that exists is adopted."
  }
}

run "region_without_the_forensics_key" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    home = {
      name_prefix         = "gdr"
      home_region         = "us-east-1"
      forwarder           = { event_bus_arn = "arn:aws:events:us-east-1:111111111111:event-bus/default", rules = { findings = { description = "Findings.", pattern = "{}" } } }
      security_account_id = "111111111111"
      iam                 = { path = "/" }
      tags                = {}
      guardduty = {
        detector     = { finding_publishing_frequency = "FIFTEEN_MINUTES", features = {} }
        organization = { manage = false, auto_enable_members = "ALL", features = {}, members = {}, member_features = {} }
      }
      forensics         = { when = "off", packet_capture_seconds = 20, timeout_minutes = 30, memory = {}, commands = { linux = [], windows = [] }, account_ids = [] }
      forensics_key_arn = "arn:aws:kms:us-east-1:333333333333:key/11111111-2222-3333-4444-555555555555"
    }
    detector = { create = false, id = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
  }

  expect_failures = [check.forensics_key]
}

run "region_of_another_account" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    home = {
      name_prefix         = "gdr"
      home_region         = "us-east-1"
      forwarder           = { event_bus_arn = "arn:aws:events:us-east-1:111111111111:event-bus/default", rules = { findings = { description = "Findings.", pattern = "{}" } } } # the forwarder has a rule of its own
      security_account_id = "444444444444"
      iam                 = { path = "/" }
      tags                = {}
      guardduty = {
        detector     = { finding_publishing_frequency = "FIFTEEN_MINUTES", features = {} }
        organization = { manage = false, auto_enable_members = "ALL", features = {}, members = {}, member_features = {} }
      }
      forensics = { when = "off", packet_capture_seconds = 20, timeout_minutes = 30, memory = {}, commands = { linux = [], windows = [] }, account_ids = [] }
    }
  }

  expect_failures = [output.region]
}
