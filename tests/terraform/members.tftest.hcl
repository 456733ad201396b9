# What the security account hands over to its members follows from its own switches.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
  name_prefix   = "gdr"
}

run "nothing_switched_on" {
  command = plan

  assert {
    condition = keys(output.for_member_accounts.roles) == [
      "collector/ec2_instance", "collector/iam_principal", "monitor/ec2_instance", "monitor/iam_principal", "responder/ec2_instance", "responder/iam_principal",
    ]
    error_message = "A member account must be able to contain, collect and monitor for every playbook before a switch uses it, and nothing else."
  }
  assert {
    condition = alltrue([
      output.for_member_accounts.instance_roles == { quarantine = "gdr-quarantine" },
      !output.for_member_accounts.rotate_keys,
      !output.for_member_accounts.untrack_connections,
      output.for_member_accounts.forwarder == null,
      output.for_member_accounts.organization_id == null,
      output.for_member_accounts.security_account_id == "111111111111",
      output.for_member_accounts.partition == "aws",
      output.for_member_accounts.iam_path == "/",
    ])
    error_message = "What no switch asks for must not be in it."
  }
}

run "everything_switched_on" {
  command = plan

  variables {
    organization_id  = "o-a1b2c3d4e5"
    iam              = { path = "/security/", permissions_boundary = "arn:aws:iam::111111111111:policy/boundary" }
    remediations     = { "CryptoCurrency:EC2/*" = "auto", "*:IAMUser/*" = "approve" }
    event_forwarding = { from_organization = true }
    forensics        = { when = "after" }
    ec2_instance     = { restore = true, finish = "terminate", untrack_connections = true, quarantine_security_group_ids = { vpc-0123456789abcdef0 = "sg-0123456789abcdef0" } }
    iam_principal = {
      restore         = true
      rotate_key      = { reader_arns = ["arn:aws:iam::111111111111:role/owner"] }
      identity_center = { account_id = "222222222222", region = "us-east-1", identity_store_id = "d-1234567890", instance_arn = "arn:aws:sso:::instance/ssoins-1234567890abcdef" }
    }
    evidence = { forensics_account = { account_id = "333333333333", kms_key_arn = "arn:aws:kms:eu-central-1:333333333333:key/mrk-1" } }
  }

  assert {
    condition = { for key, role in output.for_member_accounts.roles : "${key} ${role.name}" => role.trusted_function_role_arn } == {
      for name, function in {
        "collector/ec2_instance gdr-collector-ec2-instance"                     = "collect-ec2-instance"
        "collector/iam_principal gdr-collector-iam-principal"                   = "collect-iam-principal"
        "identity-center-monitor/iam_principal gdr-identity-center-monitor"     = "monitor-function-iam-principal"
        "identity-center-responder/iam_principal gdr-identity-center-responder" = "playbook-iam-principal"
        "identity-center-restorer/iam_principal gdr-identity-center-restorer"   = "restore-iam-principal"
        "monitor/ec2_instance gdr-monitor-ec2-instance"                         = "monitor-function-ec2-instance"
        "monitor/iam_principal gdr-monitor-iam-principal"                       = "monitor-function-iam-principal"
        "remediator/iam_principal gdr-remediator-iam-principal"                 = "remediate-iam-principal"
        "responder/ec2_instance gdr-responder-ec2-instance"                     = "playbook-ec2-instance"
        "responder/iam_principal gdr-responder-iam-principal"                   = "playbook-iam-principal"
        "restorer/ec2_instance gdr-restorer-ec2-instance"                       = "restore-ec2-instance"
        "restorer/iam_principal gdr-restorer-iam-principal"                     = "restore-iam-principal"
        "terminator/ec2_instance gdr-terminator-ec2-instance"                   = "terminate-ec2-instance"
      } : name => "arn:aws:iam::111111111111:role/security/gdr-${function}"
    }
    error_message = "There must be a role for each job that is switched on, which trusts the function of that job alone."
  }
  assert {
    condition = alltrue([
      output.for_member_accounts.instance_roles == { quarantine = "gdr-quarantine", quarantine_ssm = "gdr-quarantine-ssm" },
      output.for_member_accounts.rotate_keys,
      output.for_member_accounts.untrack_connections,
      output.for_member_accounts.organization_id == "o-a1b2c3d4e5",
      output.for_member_accounts.iam_path == "/security/",
      output.for_member_accounts.forwarder.event_bus_arn == output.event_bus_arn,
      join(" ", keys(output.for_member_accounts.forwarder.rules)) == "changes changes-2",
      alltrue([for name, rule in output.for_member_accounts.forwarder.rules : rule.pattern == module.incident[0].event_patterns[name]]),
    ])
    error_message = "Each switch must be in it, and the patterns of this account's own rules."
  }
  assert {
    condition     = jsondecode(output.for_member_accounts_json) == jsondecode(jsonencode(output.for_member_accounts))
    error_message = "The JSON must say the same."
  }
  assert {
    condition = alltrue([
      output.for_other_regions.forwarder.event_bus_arn == output.event_bus_arn,
      keys(output.for_other_regions.forwarder.rules) == ["changes", "changes-2", "findings"],
    ])
    error_message = "This account's other Regions must forward findings, too."
  }
}

run "nothing_to_forward_without_cloudtrail" {
  command = plan

  variables {
    organization_id  = "o-a1b2c3d4e5"
    remediations     = { "CryptoCurrency:EC2/*" = "auto" }
    event_forwarding = { from_organization = true }
    watch            = { cloudtrail = false }
  }

  assert {
    condition     = output.for_member_accounts.forwarder == null && join(" ", keys(output.for_other_regions.forwarder.rules)) == "findings"
    error_message = "Without watch.cloudtrail, nobody must forward calls."
  }
}

run "members_forward_before_anything_acts" {
  command = plan

  variables {
    organization_id  = "o-a1b2c3d4e5"
    event_forwarding = { from_organization = true }
  }

  assert {
    condition     = join(" ", keys(output.for_member_accounts.forwarder.rules)) == "changes changes-2" && join(" ", keys(output.for_other_regions.forwarder.rules)) == "findings"
    error_message = "A finding type that is switched on must not wait for the members' forwarders; this account's other Regions follow its own switches."
  }
}

run "nothing_created" {
  command = plan

  variables {
    create           = false
    organization_id  = "o-a1b2c3d4e5"
    remediations     = { "CryptoCurrency:EC2/*" = "auto" }
    event_forwarding = { from_organization = true }
  }

  assert {
    condition     = output.for_member_accounts.forwarder == null && output.for_other_regions.forwarder == null
    error_message = "Nothing must be forwarded to a bus without rules."
  }
}

run "forensics_before_containment" {
  command = plan

  variables {
    forensics = { when = "before" }
  }

  assert {
    condition     = keys(output.for_member_accounts.instance_roles) == ["quarantine"]
    error_message = "A quarantined instance must keep what its SSM agent needs for forensics after containment only."
  }
}

# The file beside examples/stackset is what these switches give.
run "the_file_of_the_example" {
  command = plan

  variables {
    name_prefix      = "guardduty-response"
    organization_id  = "o-sandbox001"
    remediations     = { "CryptoCurrency:EC2/*" = "auto", "*:IAMUser/*" = "approve" }
    event_forwarding = { from_organization = true }
    ec2_instance     = { restore = true }
    iam_principal = {
      restore         = true
      identity_center = { account_id = "444455556666", region = "eu-central-1", identity_store_id = "d-1234567890", instance_arn = "arn:aws:sso:::instance/ssoins-1234567890abcdef" }
    }
  }

  assert {
    condition     = jsondecode(output.for_member_accounts_json) == jsondecode(file("examples/stackset/for_member_accounts.json"))
    error_message = "examples/stackset/for_member_accounts.json is not what the root module gives. It must be: ${output.for_member_accounts_json}"
  }
}
