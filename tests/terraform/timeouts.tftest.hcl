# The time-out of the state machine "incident" is the sum of its parts.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
}

run "smallest" {
  command = plan

  variables {
    remediations             = { "CryptoCurrency:EC2/*" = "auto" }
    approval_timeout_minutes = 1
    ec2_instance             = { replacement_wait_minutes = 0, repeat_minutes = 0.05 }
    iam_principal            = { repeat_minutes = 0.05 }
  }

  # The snapshots, the evidence after them, and the finish each have their whole time.
  assert {
    condition = (
      jsondecode(module.incident[0].machine_definitions["incident"]).TimeoutSeconds == sum(values(local.incident_timeouts))
      && local.incident_timeouts.approval == 61 * 60 && local.incident_timeouts.copies == 0 && local.incident_timeouts.replication == 0 && local.incident_timeouts.before_containment == 0
      && jsondecode(module.incident[0].machine_definitions["incident"]).TimeoutSeconds > (600 + 6 * 3600) + 6 * 3600
    )
    error_message = "The machine must not end before its parts: ${jsonencode(local.incident_timeouts)}"
  }
}

run "everything" {
  command = plan

  variables {
    remediations             = { "CryptoCurrency:EC2/*" = "auto" }
    approval_timeout_minutes = 10080
    ec2_instance             = { replacement_wait_minutes = 120, repeat_minutes = 60 }
    iam_principal            = { repeat_minutes = 120 }
    forensics                = { when = "before", deadline_seconds = 60, deadlines = { "CryptoCurrency:EC2/*" = 600 }, timeout_minutes = 240 }
    evidence                 = { forensics_account = { account_id = "444444444444", kms_key_arn = "arn:aws:kms:eu-central-1:444444444444:key/1", copy_role_name = "copy" } }
  }

  # A week for people, snapshots of six hours, copies of a day, and every other part.
  assert {
    condition = (
      local.incident_timeouts.approval == 7 * 86400 + 60 * 60 && local.incident_timeouts.copies == 86400 && local.incident_timeouts.before_containment == 600
      && local.incident_timeouts.collection == 300 + 240 * 60 && local.incident_timeouts.replacement == 7200
      && jsondecode(module.incident[0].machine_definitions["incident"]).TimeoutSeconds
      > 7 * 86400 + 600 + (600 + 6 * 3600) + 240 * 60 + 7200 + 86400 + 6 * 3600 + 7200
    )
    error_message = "Every part must have its whole time: ${jsonencode(local.incident_timeouts)}"
  }
}
