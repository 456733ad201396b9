# The playbook iam_principal: its functions, its options' rules, and whom it hands over to.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications     = { expected_subscriptions = 1 } # somebody subscribes by other means
  name_prefix       = "gdr"
  remediations      = { "UnauthorizedAccess:IAMUser/*" = "auto" }
  exempt_principals = ["arn:aws:iam::*:role/break-glass"]
}

run "contains_and_lists_only" {
  command = plan

  variables {
    remediations = { "PenTest:IAMUser/*" = "auto" }
  }

  assert {
    condition     = keys(module.function) == ["iam_principal/collector", "iam_principal/monitor", "iam_principal/playbook"]
    error_message = "Nothing that undoes, rotates or restores may exist unless it is switched on."
  }
  assert {
    condition     = output.effective_policy["PenTest:IAMUser/KaliLinux"].playbook == "iam_principal" && output.effective_policy["Policy:S3/BucketPublicAccessGranted"].playbook == null
    error_message = "A credential's findings are this playbook's; a bucket's are not."
  }
}

run "instances_are_handed_over" {
  command = plan

  assert {
    condition     = toset(keys(output.playbook_function_arns)) == toset(["ec2_instance", "iam_principal"])
    error_message = "What may hand an instance over needs the playbook it hands over to."
  }
  assert {
    condition     = strcontains(output.effective_policy["UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"].note, "hands over to ec2_instance")
    error_message = "A reviewer must see that another playbook acts too."
  }
}

run "everything_on" {
  command = plan

  variables {
    iam_principal = {
      remediate   = ["users", "trails"]
      rotate_key  = { reader_arns = ["arn:aws:iam::222222222222:role/owner"], kms_key_id = "arn:aws:kms:eu-central-1:333333333333:key/0123abcd" }
      restore     = true
      trail_query = { athena = { workgroup = "trails", database = "logs", table = "cloudtrail", bucket_arns = ["arn:aws:s3:::trail"] } }
    }
  }

  assert {
    condition = alltrue([
      for key, role in {
        "iam_principal/collector" = "gdr-collector-iam-principal"
        "iam_principal/playbook"  = "gdr-responder-iam-principal"
        "iam_principal/remediate" = "gdr-remediator-iam-principal"
        "iam_principal/restore"   = "gdr-restorer-iam-principal"
      } : module.function[key].member_role == role
    ])
    error_message = "Each function must assume the member role of its own job."
  }
  assert {
    condition = toset([
      for s in jsondecode(module.function["iam_principal/collector"].function_role_policy).Statement : s.Sid if startswith(s.Sid, "Trail")
    ]) == toset(["TrailQuery", "TrailTable", "TrailObjects"])
    error_message = "The collector must be able to run the query that is configured."
  }
  assert {
    condition = alltrue([
      for key, one in module.function : !strcontains(one.function_role_policy, "athena:") if key != "iam_principal/collector"
    ])
    error_message = "Nobody else may run it."
  }
  assert {
    condition     = jsondecode(local.config_json).playbooks.iam_principal.remediate == ["trails", "users"]
    error_message = "The functions read the kinds from the config document."
  }
}

run "lake" {
  command = plan

  variables {
    iam_principal = { trail_query = { lake = { event_data_store_arn = "arn:aws:cloudtrail:eu-central-1:111111111111:eventdatastore/a" } } }
  }

  assert {
    condition = [
      for s in jsondecode(module.function["iam_principal/collector"].function_role_policy).Statement : s.Resource if s.Sid == "TrailQuery"
    ] == ["arn:aws:cloudtrail:eu-central-1:111111111111:eventdatastore/a"]
    error_message = "The query must be narrowed to the event data store."
  }
}

run "readers_who_could_never_read" {
  command = plan

  variables {
    iam_principal = { rotate_key = { reader_arns = ["arn:aws:iam::222222222222:role/owner", "arn:aws:iam::333333333333:role/owner"] } }
  }

  expect_failures = [var.iam_principal]
}

run "awss_own_key_is_no_key_to_name" {
  command = plan

  variables {
    iam_principal = { rotate_key = { reader_arns = ["arn:aws:iam::222222222222:role/owner"], kms_key_id = "alias/aws/secretsmanager" } }
  }

  expect_failures = [var.iam_principal]
}

run "a_search_in_ones_own_tool" {
  command = plan

  variables {
    notifications = { expected_subscriptions = 1, siem_search_url = "https://siem.example.com/search?q={user}%20{access_key}&from={start_epoch}&to={end_epoch}" }
  }

  assert {
    condition     = strcontains(jsondecode(local.config_json).notifications.siem_search_url, "{access_key}")
    error_message = "The functions fill the template in."
  }
}
