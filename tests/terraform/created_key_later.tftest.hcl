# A deployment that began with your own key. Runs of one state follow each other (created_key.tftest.hcl).

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

run "your_own" {
  variables {
    kms = { create = false, key_arn = "arn:aws:kms:eu-central-1:111111111111:key/ours" }
  }
  plan_options {
    target = [terraform_data.kms_created]
  }

  assert {
    condition     = !terraform_data.kms_created[0].input
    error_message = "That no key is created must be remembered."
  }
}

run "nothing_to_keep" {
  command = plan

  variables {
    kms = { create = false, keep_created = true, key_arn = "arn:aws:kms:eu-central-1:111111111111:key/ours" }
  }

  expect_failures = [output.kms_key_arn]
}

run "created_later" {
  command = plan

  expect_failures = [output.kms_key_arn]
}

run "created_later_and_remembered" {
  plan_options {
    replace = [terraform_data.kms_created[0]]
    target  = [terraform_data.kms_created]
  }

  assert {
    condition     = terraform_data.kms_created[0].input
    error_message = "That a key is created must be remembered."
  }
}

run "your_own_again" {
  command = plan

  variables {
    kms = { create = false, key_arn = "arn:aws:kms:eu-central-1:111111111111:key/ours" }
  }

  expect_failures = [output.kms_key_arn]
}
