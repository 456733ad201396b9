# modules/detector with a detector that exists: left alone until a feature is named, and what changes is said.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

run "adopted" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    create   = false
    id       = "12abc34d567e8fa901bc2d34e56789f0"
    arn_base = { partition = "aws-us-gov", region = "us-gov-west-1", account_id = "111111111111" }
    features = { EKS_AUDIT_LOGS = "UNMANAGED", S3_DATA_EVENTS = "DISABLED" }
  }

  assert {
    condition = length(aws_guardduty_detector.this) == 0 && [for name, one in aws_guardduty_detector_feature.this : "${one.detector_id} ${name} ${one.status}"] == [
      "12abc34d567e8fa901bc2d34e56789f0 S3_DATA_EVENTS DISABLED",
    ]
    error_message = "A detector that exists keeps every status but those that are named."
  }
  assert {
    condition     = output.arn == "arn:aws-us-gov:guardduty:us-gov-west-1:111111111111:detector/12abc34d567e8fa901bc2d34e56789f0"
    error_message = "The ARN of a detector that exists is built from arn_base."
  }
}

run "adopted_and_left_alone" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    create       = false
    id           = "12abc34d567e8fa901bc2d34e56789f0"
    organization = { manage = true, features = { S3_DATA_EVENTS = "NEW" } }
  }

  assert {
    condition     = length(aws_guardduty_detector_feature.this) + length(module.adopted) == 0 && output.organization_features == tomap({ S3_DATA_EVENTS = "NEW" })
    error_message = "Until a feature is named, a detector that exists is left alone, and so are its members."
  }
}

run "adopted_with_changes" {
  command = plan

  module {
    source = "./modules/detector/adopted"
  }

  override_data {
    target = data.aws_guardduty_detector.today
    values = { features = [
      { name = "S3_DATA_EVENTS", status = "ENABLED", additional_configuration = [] },
      { name = "RUNTIME_MONITORING", status = "ENABLED", additional_configuration = [{ name = "EKS_ADDON_MANAGEMENT", status = "ENABLED" }] },
    ] }
  }

  variables {
    detector_id = "12abc34d567e8fa901bc2d34e56789f0"
    features = {
      S3_DATA_EVENTS     = { status = "ENABLED", configurations = {} }
      EKS_AUDIT_LOGS     = { status = "ENABLED", configurations = {} }
      RUNTIME_MONITORING = { status = "DISABLED", configurations = { EKS_ADDON_MANAGEMENT = "DISABLED" } }
    }
  }

  assert {
    condition     = local.changes == ["RUNTIME_MONITORING from ENABLED to DISABLED", "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT from ENABLED to DISABLED"]
    error_message = "What changes must be said, from what to what, and nothing else."
  }
  expect_failures = [check.changes_of_the_adopted_detector]
}

run "adopted_without_changes" {
  command = plan

  module {
    source = "./modules/detector/adopted"
  }

  override_data {
    target = data.aws_guardduty_detector.today
    values = { features = [
      { name = "S3_DATA_EVENTS", status = "ENABLED", additional_configuration = [] },
      { name = "RUNTIME_MONITORING", status = "DISABLED", additional_configuration = [] },
    ] }
  }

  variables {
    detector_id = "12abc34d567e8fa901bc2d34e56789f0"
    features    = { S3_DATA_EVENTS = { status = "ENABLED", configurations = {} }, EKS_AUDIT_LOGS = { status = "DISABLED", configurations = {} } }
  }
}

run "adopted_with_an_agent_that_is_not_named" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    create   = false
    id       = "12abc34d567e8fa901bc2d34e56789f0"
    features = { RUNTIME_MONITORING = "ENABLED", "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "ENABLED" }
  }

  expect_failures = [var.features]
}

# --- the keys of the variable ---------------------------------------------------------------------------------------------

run "misspelt" {
  command = plan

  module {
    source = "./modules/typed-options"
  }

  variables {
    name   = "guardduty"
    value  = { detector = { featurs = {} }, organisation = {}, spend_watch = { thresholds = { actuals = [80] } }, threat_lists = { seen = { adresses = ["192.0.2.1"] } } }
    schema = jsondecode(file("schema/variables/guardduty.json"))
  }

  assert {
    condition = length(output.misspelt) == 4 && alltrue([
      for nearest in ["detector.featurs is no key of this variable; the nearest is features", "organisation is no key of this variable; the nearest is organization", "spend_watch.thresholds.actuals is no key of this variable; the nearest is actual", "threat_lists[\"seen\"].adresses is no key of this variable; the nearest is addresses"] :
      anytrue([for text in output.misspelt : startswith(text, "guardduty.${nearest}")])
    ])
    error_message = "Each must be named with the nearest key: ${join(" ", output.misspelt)}"
  }
}

run "misspelt_apart" {
  command = plan

  module {
    source = "./modules/guardduty"
  }

  variables {
    detector     = { featurs = {} }
    organization = { manage = "perhaps" }
  }

  expect_failures = [output.detector_id, output.organization_features]
}
