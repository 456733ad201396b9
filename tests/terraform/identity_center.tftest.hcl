# Containing people of IAM Identity Center: one more role in one account for each of containing, monitoring and undoing it, and for nobody else.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications     = { expected_subscriptions = 1 } # somebody subscribes by other means
  name_prefix       = "gdr"
  remediations      = { "PenTest:IAMUser/*" = "auto", "CryptoCurrency:EC2/*" = "auto" }
  organization_id   = "o-sandbox001"
  iam               = { path = "/security/" }
  exempt_principals = ["arn:aws:iam::*:role/break-glass"]
  ec2_instance      = { restore = true }
  iam_principal = {
    restore   = true
    remediate = ["users"]
    identity_center = {
      account_id        = "999999999999"
      region            = "eu-west-1"
      instance_arn      = "arn:aws:sso:::instance/ssoins-0123456789abcdef"
      identity_store_id = "d-0123456789"
    }
  }
}

run "one_role_in_one_account" {
  command = plan

  assert {
    condition = toset(jsondecode(local.config_json).responder.own_roles) == toset(concat(
      [for name in ["collector-ec2-instance", "collector-iam-principal", "monitor-ec2-instance", "monitor-iam-principal", "responder-ec2-instance", "responder-iam-principal", "restorer-ec2-instance", "restorer-iam-principal", "remediator-iam-principal"] : "*:role/security/gdr-${name}"],
      [for kind in ["responder", "monitor", "restorer"] : "999999999999:role/security/gdr-identity-center-${kind}"],
    ))
    error_message = "Own roles must be exactly those that functions assume, the Identity Center account's in that account alone: ${join(", ", jsondecode(local.config_json).responder.own_roles)}"
  }
  assert {
    condition = {
      for key, one in module.function : key => [
        for s in jsondecode(one.function_role_policy).Statement : [s.Action, s.Resource, s.Condition] if s.Sid == "IdentityCenterRole"
      ] if strcontains(one.function_role_policy, "999999999999")
      } == {
      "iam_principal/playbook" = [["sts:AssumeRole", "arn:aws:iam::999999999999:role/security/gdr-identity-center-responder", { StringEquals = { "aws:ResourceOrgID" = "o-sandbox001" } }]]
      "iam_principal/monitor"  = [["sts:AssumeRole", "arn:aws:iam::999999999999:role/security/gdr-identity-center-monitor", { StringEquals = { "aws:ResourceOrgID" = "o-sandbox001" } }]]
      "iam_principal/restore"  = [["sts:AssumeRole", "arn:aws:iam::999999999999:role/security/gdr-identity-center-restorer", { StringEquals = { "aws:ResourceOrgID" = "o-sandbox001" } }]]
    }
    error_message = "What contains, what monitors and what undoes it must assume each its own role in the Identity Center account, and no other function any."
  }
  assert {
    condition = {
      for key, one in module.function : key => one.environment["GDR_IDENTITY_CENTER_ROLE"] if contains(keys(one.environment), "GDR_IDENTITY_CENTER_ROLE")
      } == {
      "iam_principal/playbook" = "security/gdr-identity-center-responder"
      "iam_principal/monitor"  = "security/gdr-identity-center-monitor"
      "iam_principal/restore"  = "security/gdr-identity-center-restorer"
    }
    error_message = "These three functions, and no other, must know the role by path and name."
  }
  assert {
    condition     = jsondecode(local.config_json).playbooks.iam_principal.identity_center.identity_store_id == "d-0123456789"
    error_message = "The functions read the account, the Region, the instance and the identity store from the config document."
  }
}

run "nothing_of_it_when_null" {
  command = plan

  variables {
    iam_principal = { restore = true }
  }

  assert {
    condition = alltrue([
      for key, one in module.function : !strcontains(one.function_role_policy, "identity-center") && !contains(keys(one.environment), "GDR_IDENTITY_CENTER_ROLE")
    ])
    error_message = "Without the option no function may know or assume a role of Identity Center."
  }
  assert {
    condition     = jsondecode(local.config_json).playbooks.iam_principal.identity_center == null
    error_message = "The functions must see that it is not set."
  }
}

run "no_account" {
  command = plan

  variables {
    iam_principal = { identity_center = { account_id = "99", region = "eu-west-1", instance_arn = "arn:aws:sso:::instance/ssoins-0123456789abcdef", identity_store_id = "d-0123456789" } }
  }

  expect_failures = [output.playbook_options]
}

run "no_region" {
  command = plan

  variables {
    iam_principal = { identity_center = { account_id = "999999999999", region = "Ireland", instance_arn = "arn:aws:sso:::instance/ssoins-0123456789abcdef", identity_store_id = "d-0123456789" } }
  }

  expect_failures = [output.playbook_options]
}

run "no_instance" {
  command = plan

  variables {
    iam_principal = { identity_center = { account_id = "999999999999", region = "eu-west-1", instance_arn = "ssoins-0123456789abcdef", identity_store_id = "d-0123456789" } }
  }

  expect_failures = [output.playbook_options]
}

run "no_identity_store" {
  command = plan

  variables {
    iam_principal = { identity_center = { account_id = "999999999999", region = "eu-west-1", instance_arn = "arn:aws:sso:::instance/ssoins-0123456789abcdef", identity_store_id = "directory" } }
  }

  expect_failures = [output.playbook_options]
}
