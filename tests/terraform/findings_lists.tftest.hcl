# Lists of addresses in GuardDuty. What a list may be, and its bucket, are tested in list_files.tftest.hcl.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name_prefix = "gdr"
  detector_id = "12abc34d567e8fa901bc2d34e56789f0"
  arn_base    = { partition = "aws", region = "eu-central-1", account_id = "111111111111" }
}

run "lists" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { office = { addresses = ["198.51.100.7", "203.0.113.0/24"] } }
    threat_lists = {
      seen = { addresses = ["192.0.2.66"] }
      feed = { location = "https://s3.amazonaws.com/feeds/stix.xml", format = "STIX" }
    }
    tags = { team = "security" }
  }

  assert {
    condition = output.bucket_name == "gdr-lists-111111111111-eu-central-1" && output.locations == {
      "trusted/office" = "s3://gdr-lists-111111111111-eu-central-1/trusted/office-${substr(sha256("198.51.100.7\n203.0.113.0/24\n"), 0, 16)}.txt"
      "threat/seen"    = "s3://gdr-lists-111111111111-eu-central-1/threat/seen-${substr(sha256("192.0.2.66\n"), 0, 16)}.txt"
      "threat/feed"    = "https://s3.amazonaws.com/feeds/stix.xml"
    }
    error_message = "The location must name the content, so that GuardDuty loads a change: ${jsonencode(output.locations)}"
  }
  assert {
    condition = alltrue([
      aws_guardduty_ipset.trusted["office"].format == "TXT", aws_guardduty_ipset.trusted["office"].activate,
      aws_guardduty_ipset.trusted["office"].location == output.locations["trusted/office"],
      aws_guardduty_threatintelset.threat["feed"].format == "STIX", aws_guardduty_threatintelset.threat["feed"].location == output.locations["threat/feed"],
      aws_guardduty_threatintelset.threat["seen"].format == "TXT", aws_guardduty_threatintelset.threat["seen"].activate,
      aws_guardduty_threatintelset.threat["seen"].location == output.locations["threat/seen"],
    ])
    error_message = "A list must be read where it lies: its own file, or the one written here."
  }
}

run "only_files_that_exist" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    threat_lists = { feed = { location = "s3://feeds/list.txt", format = "TXT" } }
  }

  assert {
    condition     = output.bucket_name == null && aws_guardduty_threatintelset.threat["feed"].location == "s3://feeds/list.txt"
    error_message = "A list that exists needs no bucket."
  }
}

run "trusted_too_many" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { for n in range(2) : "list-${n}" => { addresses = ["192.0.2.1"] } }
  }

  expect_failures = [var.trusted_ip_lists]
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

run "misspelt_key_of_a_list" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { office = { addresses = ["198.51.100.7"], formats = "TXT" } }
    threat_lists     = { seen = { adresses = ["192.0.2.66"] } }
  }

  expect_failures = [var.trusted_ip_lists, var.threat_lists]
}
