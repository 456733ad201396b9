# Misspelt keys in the variables of submodules. Terraform would drop them from an object without a word.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

run "organization" {
  command = plan

  module {
    source = "./modules/detector"
  }

  variables {
    organization = { manage = true, member = {} }
  }

  expect_failures = [var.organization]
}

run "thresholds" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    name_prefix = "gdr"
    arn_base    = { partition = "aws", region = "eu-central-1", account_id = "111111111111" }
    thresholds  = { actuals = [50] }
  }

  expect_failures = [var.thresholds]
}

run "iam_of_the_budget" {
  command = plan

  module {
    source = "./modules/spend-watch"
  }

  variables {
    name_prefix = "gdr"
    arn_base    = { partition = "aws", region = "eu-central-1", account_id = "111111111111" }
    iam         = { boundary = "arn:aws:iam::111111111111:policy/boundary" }
  }

  expect_failures = [var.iam]
}

run "replica_of_something_else" {
  command = plan

  module {
    source = "./modules/forensics-replica"
  }

  variables {
    primary = { kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef", alias = "alias/gdr-vault" }
  }

  expect_failures = [var.primary]
}

run "replica" {
  command = plan

  module {
    source = "./modules/forensics-replica"
  }

  variables {
    primary = { kms_key_arn = "arn:aws:kms:eu-central-1:111111111111:key/mrk-0123456789abcdef0123456789abcdef", alias = "alias/gdr-vault", key_policy = "{}", tag = { team = "security" } }
  }

  expect_failures = [var.primary]
}
