# Threat lists are checked as trusted ones are (findings_lists.tftest.hcl), but for their number and length.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name_prefix = "gdr"
  detector_id = "12abc34d567e8fa901bc2d34e56789f0"
  arn_base    = { partition = "aws", region = "eu-central-1", account_id = "111111111111" }
}

run "threat_too_many" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { for n in range(7) : "list-${n}" => { addresses = ["192.0.2.1"] } }
  }

  expect_failures = [var.threat_lists]
}

run "threat_bad_name" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { "a/b" = { addresses = ["192.0.2.1"] } }
  }

  expect_failures = [var.threat_lists]
}

run "threat_neither" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { abc = {} }
  }

  expect_failures = [var.threat_lists]
}

run "threat_misspelt" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { abc = { adresses = ["192.0.2.1"] } }
  }

  expect_failures = [var.threat_lists]
}

run "threat_both" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { abc = { addresses = ["192.0.2.1"], location = "s3://b/k", format = "TXT" } }
  }

  expect_failures = [var.threat_lists]
}

run "threat_no_format" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { abc = { location = "s3://b/k" } }
  }

  expect_failures = [var.threat_lists]
}

run "threat_bad_format" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { abc = { location = "s3://b/k", format = "CSV" } }
  }

  expect_failures = [var.threat_lists]
}

run "threat_bad_location" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { abc = { location = "http://b/k", format = "TXT" } }
  }

  expect_failures = [var.threat_lists]
}

run "threat_empty" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { abc = { addresses = [] } }
  }

  expect_failures = [var.threat_lists]
}

run "threat_not_an_address" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { abc = { addresses = ["192.0.2.256"] } }
  }

  expect_failures = [var.threat_lists]
}

run "threat_not_a_range" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { abc = { addresses = ["192.0.2.0/33"] } }
  }

  expect_failures = [var.threat_lists]
}

run "threat_version_6" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { abc = { addresses = ["2001:db8::1"] } }
  }

  expect_failures = [var.threat_lists]
}

run "threat_everybody" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { abc = { addresses = ["0.0.0.0/0"] } }
  }

  expect_failures = [var.threat_lists]
}
