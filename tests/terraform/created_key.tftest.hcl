# The key that was created here is not deleted because kms.create becomes false. Runs of one state follow each other. Only
# what remembers it is applied.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
  name_prefix   = "gdr"
  remediations  = { "CryptoCurrency:EC2/*" = "auto" }
  ec2_instance  = { restore = true }
}

run "created" {
  plan_options {
    target = [terraform_data.kms_created]
  }

  assert {
    condition     = terraform_data.kms_created[0].input
    error_message = "That a key is created must be remembered."
  }
}

run "your_own_instead" {
  command = plan

  variables {
    kms = { create = false, key_arn = "arn:aws:kms:eu-central-1:111111111111:key/ours" }
  }

  expect_failures = [output.kms_key_arn]
}

run "your_own_beside_it" {
  command = plan

  variables {
    kms = { create = false, keep_created = true, key_arn = "arn:aws:kms:eu-central-1:111111111111:key/ours" }
  }

  assert {
    condition     = length(aws_kms_key.this) == 1 && length(aws_kms_alias.this) == 1 && output.kms_key_arn == "arn:aws:kms:eu-central-1:111111111111:key/ours"
    error_message = "The created key must stay, and your own must encrypt."
  }
  assert {
    condition = alltrue([
      for policy in concat(values(module.incident[0].policies), [for function in values(module.function) : function.function_role_policy]) : [
        for s in jsondecode(policy).Statement : { may = s.Action, key = s.Resource } if s.Sid == "FormerKey"
      ] == [{ may = ["kms:Decrypt"], key = "arn:aws:kms:eu-central-1:111111111111:key/00000000-0000-0000-0000-000000000000" }]
    ])
    error_message = "What the created key encrypted must still be read, and nothing more encrypted with it."
  }
}

run "given_up_on_purpose" {
  command = plan

  plan_options {
    replace = [terraform_data.kms_created[0]]
  }
  variables {
    kms = { create = false, key_arn = "arn:aws:kms:eu-central-1:111111111111:key/ours" }
  }

  assert {
    condition     = length(aws_kms_key.this) == 0 && !strcontains(jsonencode(module.incident[0].policies), "FormerKey")
    error_message = "Who says so gives the key up."
  }
}

run "everything_goes" {
  command = plan

  variables {
    create = false
  }

  assert {
    condition     = length(terraform_data.kms_created) + length(aws_kms_key.this) == 0
    error_message = "What is switched off leaves no note."
  }
}
