# The one source of a member account's roles, which responder-role makes and responder-stackset writes into a template.

variables {
  name_prefix         = "gdr"
  account_id          = "222222222222"
  partition           = "aws"
  security_account_id = "999999999999"
  organization_id     = "o-a1b2c3d4e5"
  iam_path            = "/"
  playbooks           = ["ec2_instance", "iam_principal"]
}

run "plain" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }

  variables {
    iam_path = "/security/"
  }
}

run "member_roles" {
  command = plan

  module {
    source = "./modules/member-roles"
  }

  variables {
    for_member_accounts  = run.plain.value
    permissions_boundary = "arn:aws:iam::222222222222:policy/boundary"
  }

  assert {
    condition = { for key, role in output.roles : key => [role.name, role.description, role.policy_name] } == {
      "collector/ec2_instance"  = ["gdr-collector-ec2-instance", "GuardDuty response, ec2_instance: what collecting evidence may read in this account, and make.", "collector"]
      "collector/iam_principal" = ["gdr-collector-iam-principal", "GuardDuty response, iam_principal: what collecting evidence may read in this account, and make.", "collector"]
      "monitor/ec2_instance"    = ["gdr-monitor-ec2-instance", "GuardDuty response, ec2_instance: what monitoring may read in this account.", "monitor"]
      "monitor/iam_principal"   = ["gdr-monitor-iam-principal", "GuardDuty response, iam_principal: what monitoring may read in this account.", "monitor"]
      "responder/ec2_instance"  = ["gdr-responder-ec2-instance", "GuardDuty response, ec2_instance: what the playbook may do in this account.", "responder"]
      "responder/iam_principal" = ["gdr-responder-iam-principal", "GuardDuty response, iam_principal: what the playbook may do in this account.", "responder"]
    }
    error_message = "Without switches a member account has roles that contain, collect and monitor, and no others."
  }
  assert {
    condition = alltrue([
      for role in merge(output.roles, output.instance_roles) :
      role.path == "/security/" && role.permissions_boundary == "arn:aws:iam::222222222222:policy/boundary" && role.max_session_duration == 3600
    ]) && keys(output.instance_roles) == ["quarantine"]
    error_message = "Every role must carry the path, the boundary and the session length; without forensics one role is for instances."
  }
  assert {
    condition     = output.kinds == ["collector", "monitor", "remediator", "responder", "restorer", "terminator"]
    error_message = "Maps by kind must have a key for every kind, in use or not."
  }
}

run "in_china" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }

  variables {
    partition = "aws-cn"
    forensics = true
  }
}

run "member_roles_of_a_template" {
  command = plan

  module {
    source = "./modules/member-roles"
  }

  variables {
    for_member_accounts = run.in_china.value
    account_id          = "$${AWS::AccountId}"
  }

  assert {
    condition     = jsondecode(output.roles["responder/ec2_instance"].trust_policy).Statement[0].Principal.AWS == "arn:aws-cn:iam::999999999999:root"
    error_message = "The partition's placeholder must reach the trust policies."
  }
  assert {
    condition = alltrue([for role in output.roles : !can(regex("222222222222", role.policy)) && strcontains(role.policy, "$${AWS::AccountId}")]) && strcontains(
      output.roles["responder/ec2_instance"].policy, "arn:aws-cn:iam::$${AWS::AccountId}:role/gdr-quarantine-ssm"
    )
    error_message = "The account's placeholder must reach every policy."
  }
}

run "identity_center" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }

  variables {
    playbooks       = []
    restore         = ["iam_principal"]
    identity_center = true
  }
}

run "member_roles_of_identity_center" {
  command = plan

  module {
    source = "./modules/member-roles"
  }

  variables {
    for_member_accounts = run.identity_center.value
    identity_center     = true
  }

  assert {
    condition = { for key, role in output.roles : role.name => output.trusted_function_role_arns[key] } == {
      gdr-identity-center-responder = "arn:aws:iam::999999999999:role/gdr-playbook-iam-principal"
      gdr-identity-center-monitor   = "arn:aws:iam::999999999999:role/gdr-monitor-function-iam-principal"
      gdr-identity-center-restorer  = "arn:aws:iam::999999999999:role/gdr-restore-iam-principal"
      gdr-restorer-iam-principal    = "arn:aws:iam::999999999999:role/gdr-restore-iam-principal"
    }
    error_message = "The Identity Center account must have a role that contains there and, with restore, one that undoes, each for its own function."
  }
  assert {
    condition     = alltrue([for kind in ["identity-center-responder", "identity-center-monitor", "identity-center-restorer"] : contains(output.kinds, kind)])
    error_message = "Maps by kind must have the kinds of Identity Center there."
  }
}

run "member_roles_of_every_other_account" {
  command = plan

  module {
    source = "./modules/member-roles"
  }

  variables {
    for_member_accounts = run.identity_center.value
  }

  assert {
    condition     = keys(output.roles) == ["restorer/iam_principal"]
    error_message = "The roles of Identity Center must be in the account that has identity_center = true, and nowhere else."
  }
}

run "identity_center_without_restore" {
  command = plan

  module {
    source = "./modules/member-hand-over"
  }

  variables {
    playbooks       = []
    restore         = ["ec2_instance"]
    identity_center = true
  }
}

run "member_roles_of_identity_center_without_restore" {
  command = plan

  module {
    source = "./modules/member-roles"
  }

  variables {
    for_member_accounts = run.identity_center_without_restore.value
    identity_center     = true
  }

  assert {
    condition     = toset(keys(output.roles)) == toset(["identity-center-responder/iam_principal", "identity-center-monitor/iam_principal", "restorer/ec2_instance"])
    error_message = "Nothing in Identity Center may be undone unless restore names iam_principal."
  }
}

run "member_roles_rules" {
  command = plan

  module {
    source = "./modules/member-roles"
  }

  variables {
    for_member_accounts = run.plain.value
    account_id          = "$${AWS::Region}"
  }

  expect_failures = [var.account_id]
}
