# modules/detector: statuses that are always said, the order the API answers in, the organization's and its exceptions.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
}

run "defaults" {
  command = plan

  module {
    source = "./modules/detector"
  }

  assert {
    condition     = aws_guardduty_detector.this[0].finding_publishing_frequency == "FIFTEEN_MINUTES"
    error_message = "A detector that is created here must tell of changes as soon as GuardDuty can."
  }
  assert {
    condition = tomap({ for name, one in merge(aws_guardduty_detector_feature.this, aws_guardduty_detector_feature.rds) : name => one.status }) == tomap({
      EBS_MALWARE_PROTECTION = "ENABLED", EKS_AUDIT_LOGS = "ENABLED", LAMBDA_NETWORK_LOGS = "ENABLED",
      RDS_LOGIN_EVENTS       = "ENABLED", RUNTIME_MONITORING = "ENABLED", S3_DATA_EVENTS = "ENABLED",
    })
    error_message = "Every protection plan must be enabled by default, and EKS_RUNTIME_MONITORING left alone."
  }
  assert {
    condition = [for one in aws_guardduty_detector_feature.this["RUNTIME_MONITORING"].additional_configuration : "${one.name} ${one.status}"] == [
      "EKS_ADDON_MANAGEMENT DISABLED", "EC2_AGENT_MANAGEMENT DISABLED", "ECS_FARGATE_AGENT_MANAGEMENT DISABLED",
    ]
    error_message = "Agent management must be off, said for each agent, in the order the API answers for a detector."
  }
  assert {
    condition     = alltrue([for name, one in aws_guardduty_detector_feature.this : length(one.additional_configuration) == 0 if name != "RUNTIME_MONITORING"])
    error_message = "Only Runtime Monitoring has configurations."
  }
  assert {
    condition     = keys(aws_guardduty_detector_feature.rds) == ["RDS_LOGIN_EVENTS"] && length(aws_guardduty_detector_feature.rds_data_risk) == 0
    error_message = "RDS Protection is apart, where what GuardDuty answers of RDS_DATA_RISK is ignored until somebody names it."
  }
  assert {
    condition     = length(aws_guardduty_organization_configuration.this) + length(aws_guardduty_organization_configuration_feature.this) + length(aws_guardduty_member.this) + length(data.aws_caller_identity.current) == 0
    error_message = "Without organization.manage, nothing of the organization may be touched or asked."
  }
}

run "frequency_said" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    finding_publishing_frequency = "ONE_HOUR"
  }

  assert {
    condition     = aws_guardduty_detector.this[0].finding_publishing_frequency == "ONE_HOUR"
    error_message = "What is said must be what is set."
  }
}

run "explicit_statuses" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features = {
      "S3_DATA_EVENTS"                                  = "DISABLED"
      "RDS_LOGIN_EVENTS"                                = "UNMANAGED"
      "RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT"         = "ENABLED"
      "RUNTIME_MONITORING/ECS_FARGATE_AGENT_MANAGEMENT" = "UNMANAGED"
    }
  }

  assert {
    condition     = aws_guardduty_detector_feature.this["S3_DATA_EVENTS"].status == "DISABLED" && aws_guardduty_detector_feature.this["EKS_AUDIT_LOGS"].status == "ENABLED"
    error_message = "Off is a status that is set, not a resource left out; what is not named keeps its default."
  }
  assert {
    condition     = length(aws_guardduty_detector_feature.rds) + length(aws_guardduty_detector_feature.rds_data_risk) == 0
    error_message = "UNMANAGED must leave a feature alone."
  }
  assert {
    condition = [for one in aws_guardduty_detector_feature.this["RUNTIME_MONITORING"].additional_configuration : "${one.name} ${one.status}"] == [
      "EKS_ADDON_MANAGEMENT DISABLED", "EC2_AGENT_MANAGEMENT ENABLED",
    ]
    error_message = "A configuration that is UNMANAGED has no block, the others keep the API's order."
  }
}

run "runtime_monitoring_left_alone" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features = { RUNTIME_MONITORING = "UNMANAGED", EKS_RUNTIME_MONITORING = "ENABLED", "EKS_RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "ENABLED" }
  }

  assert {
    condition = !contains(keys(aws_guardduty_detector_feature.this), "RUNTIME_MONITORING") && (
      [for one in aws_guardduty_detector_feature.this["EKS_RUNTIME_MONITORING"].additional_configuration : "${one.name} ${one.status}"] == ["EKS_ADDON_MANAGEMENT ENABLED"]
    )
    error_message = "The configurations of a feature that is left alone are left alone with it, and EKS Runtime Monitoring can take its place."
  }
}

run "nothing_managed" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    create = false
  }

  assert {
    condition     = length(aws_guardduty_detector.this) + length(aws_guardduty_detector_feature.this) == 0 && output.id == null && output.arn == null && output.features == tomap({})
    error_message = "No detector created and none named: nothing is managed, also none of the defaults."
  }
}

run "organization_defaults" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features = {
      "S3_DATA_EVENTS"                          = "DISABLED"
      "RDS_LOGIN_EVENTS"                        = "UNMANAGED"
      "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "ENABLED"
    }
    organization = { manage = true, administrator_account_id = "111111111111" }
  }

  assert {
    condition     = aws_guardduty_organization_configuration.this[0].auto_enable_organization_members == "ALL"
    error_message = "Everybody gets GuardDuty by default."
  }
  assert {
    condition = tomap({ for name, one in aws_guardduty_organization_configuration_feature.this : name => one.auto_enable }) == tomap({
      EBS_MALWARE_PROTECTION = "ALL", EKS_AUDIT_LOGS = "ALL", LAMBDA_NETWORK_LOGS = "ALL", RUNTIME_MONITORING = "ALL", S3_DATA_EVENTS = "NONE",
    })
    error_message = "Members get what the detector has: ALL where ENABLED, NONE where DISABLED, nothing where UNMANAGED."
  }
  assert {
    condition = [for one in aws_guardduty_organization_configuration_feature.this["RUNTIME_MONITORING"].additional_configuration : "${one.name} ${one.auto_enable}"] == [
      "ECS_FARGATE_AGENT_MANAGEMENT NONE", "EC2_AGENT_MANAGEMENT NONE", "EKS_ADDON_MANAGEMENT ALL",
    ]
    error_message = "The organization's configurations come in the API's order for an organization, which is another one."
  }
}

run "organization_said" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features = { "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "ENABLED" }
    organization = {
      manage              = true
      auto_enable_members = "NEW"
      features = {
        S3_DATA_EVENTS     = "UNMANAGED"
        RDS_LOGIN_EVENTS   = "NONE"
        RUNTIME_MONITORING = "NEW"
      }
      members = { "222222222222" = "member-a@example.com" }
    }
  }

  assert {
    condition     = aws_guardduty_organization_configuration.this[0].auto_enable_organization_members == "NEW" && aws_guardduty_member.this["222222222222"].email == "member-a@example.com"
    error_message = "What is said must be what is set."
  }
  assert {
    condition = output.organization_features == tomap({
      "EBS_MALWARE_PROTECTION"                          = "ALL"
      "EKS_AUDIT_LOGS"                                  = "ALL"
      "LAMBDA_NETWORK_LOGS"                             = "ALL"
      "RDS_LOGIN_EVENTS"                                = "NONE"
      "RUNTIME_MONITORING"                              = "NEW"
      "RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT"         = "NONE"
      "RUNTIME_MONITORING/ECS_FARGATE_AGENT_MANAGEMENT" = "NONE"
      "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT"         = "NEW"
    }) && length(aws_guardduty_organization_configuration_feature.this) == 4 && length(aws_guardduty_organization_configuration_feature.rds) == 1
    error_message = "Merged over what is derived; a configuration goes no further than its feature."
  }
}

run "member_exceptions" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features = { "RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT" = "ENABLED" }
    organization = {
      manage              = true
      auto_enable_members = "NEW"
      features            = { S3_DATA_EVENTS = "NEW", RUNTIME_MONITORING = "NEW" }
      members             = { "222222222222" = "member-a@example.com" }
      member_features = {
        "222222222222" = { S3_DATA_EVENTS = "DISABLED", RUNTIME_MONITORING = "ENABLED", "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "ENABLED" }
        "333333333333" = { RUNTIME_MONITORING = "DISABLED" }
      }
    }
  }

  assert {
    condition = tomap({ for key, one in aws_guardduty_member_detector_feature.this : key => "${one.account_id} ${one.name} ${one.status}" }) == tomap({
      "222222222222/RUNTIME_MONITORING" = "222222222222 RUNTIME_MONITORING ENABLED"
      "222222222222/S3_DATA_EVENTS"     = "222222222222 S3_DATA_EVENTS DISABLED"
      "333333333333/RUNTIME_MONITORING" = "333333333333 RUNTIME_MONITORING DISABLED"
    })
    error_message = "One resource for each exception, and for nothing else."
  }
  assert {
    condition = [for one in aws_guardduty_member_detector_feature.this["222222222222/RUNTIME_MONITORING"].additional_configuration : "${one.name} ${one.status}"] == [
      "EKS_ADDON_MANAGEMENT ENABLED", "EC2_AGENT_MANAGEMENT ENABLED", "ECS_FARGATE_AGENT_MANAGEMENT DISABLED",
    ]
    error_message = "All configurations in the order of the API for members: what is not named is the detector's."
  }
  assert {
    condition = [for one in aws_guardduty_member_detector_feature.this["333333333333/RUNTIME_MONITORING"].additional_configuration : "${one.name} ${one.status}"] == [
      "EKS_ADDON_MANAGEMENT DISABLED", "EC2_AGENT_MANAGEMENT DISABLED", "ECS_FARGATE_AGENT_MANAGEMENT DISABLED",
    ]
    error_message = "A feature that is off has its agents off."
  }
  assert {
    condition     = output.member_features["333333333333"]["RUNTIME_MONITORING/EC2_AGENT_MANAGEMENT"] == "DISABLED" && length(output.member_features["222222222222"]) == 5
    error_message = "The exceptions must be shown as they are set."
  }
}

run "through_the_root" {
  command = plan

  variables {
    guardduty = {
      detector     = { features = { RDS_LOGIN_EVENTS = "DISABLED" } }
      organization = { manage = true, features = { S3_DATA_EVENTS = "NEW" }, member_features = { "222222222222" = { S3_DATA_EVENTS = "DISABLED" } } }
    }
  }

  assert {
    condition = (output.detector_features["RDS_LOGIN_EVENTS"] == "DISABLED" && output.organization_features["RDS_LOGIN_EVENTS"] == "NONE" &&
    output.organization_features["S3_DATA_EVENTS"] == "NEW" && output.member_features == tomap({ "222222222222" = tomap({ S3_DATA_EVENTS = "DISABLED" }) }))
    error_message = "The root module must hand its switches to modules/guardduty, and show what came of them."
  }
}

run "managed_by_a_policy" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    features     = { AI_PROTECTION = "UNMANAGED", S3_DATA_EVENTS = "ENABLED" }
    managed_by   = "GUARDDUTY_POLICY"
    organization = { manage = true, administrator_account_id = "111111111111" }
  }

  assert {
    condition = alltrue([
      length(aws_guardduty_organization_configuration.this) + length(aws_guardduty_organization_configuration_feature.this) + length(aws_guardduty_member.this) == 0,
      length(aws_guardduty_organization_configuration_feature.rds) == 0, output.organization_features == tomap({}), output.managed_by == "GUARDDUTY_POLICY",
      output.features == tomap({ S3_DATA_EVENTS = "ENABLED" }), length(aws_guardduty_detector.this) == 1,
    ])
    error_message = "Where a policy of AWS Organizations switches GuardDuty on, only the detector and what is named may be managed here: ${jsonencode(output.features)}"
  }
}

run "an_exception_of_rds_protection" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, features = { RDS_LOGIN_EVENTS = "NEW" }, member_features = { "222222222222" = { RDS_LOGIN_EVENTS = "DISABLED" } } }
  }

  expect_failures = [check.members_name_data_activity]
}
