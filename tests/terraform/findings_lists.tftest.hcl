# Lists of addresses: written ones get a private bucket and a new location per content; wrong ones are refused.

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
    condition = alltrue([
      aws_s3_bucket.lists[0].bucket == "gdr-lists-111111111111-eu-central-1",
      { for key, object in aws_s3_object.list : key => object.content } == { "trusted/office" = "198.51.100.7\n203.0.113.0/24\n", "threat/seen" = "192.0.2.66\n" },
      aws_s3_object.list["trusted/office"].key == "trusted/office-${substr(sha256("198.51.100.7\n203.0.113.0/24\n"), 0, 16)}.txt",
    ])
    error_message = "Addresses must be written one per line, under a key that names their content."
  }
  assert {
    condition = alltrue([
      aws_guardduty_ipset.trusted["office"].format == "TXT", aws_guardduty_ipset.trusted["office"].activate,
      aws_guardduty_ipset.trusted["office"].location == "s3://mock/${aws_s3_object.list["trusted/office"].key}" || endswith(aws_guardduty_ipset.trusted["office"].location, "/${aws_s3_object.list["trusted/office"].key}"),
      aws_guardduty_threatintelset.threat["feed"].format == "STIX", aws_guardduty_threatintelset.threat["feed"].location == "https://s3.amazonaws.com/feeds/stix.xml",
      aws_guardduty_threatintelset.threat["seen"].format == "TXT", aws_guardduty_threatintelset.threat["seen"].activate,
      output.locations["threat/seen"] == aws_guardduty_threatintelset.threat["seen"].location,
    ])
    error_message = "A list must be read where it lies: its own file, or the one written here."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.lists[0].block_public_acls, aws_s3_bucket_public_access_block.lists[0].block_public_policy,
      aws_s3_bucket_public_access_block.lists[0].ignore_public_acls, aws_s3_bucket_public_access_block.lists[0].restrict_public_buckets,
      one(aws_s3_bucket_server_side_encryption_configuration.lists[0].rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256",
      jsondecode(aws_s3_bucket_policy.lists[0].policy).Statement == [{
        Sid       = "TlsOnly", Effect = "Deny", Principal = "*", Action = "s3:*"
        Resource  = ["arn:aws:s3:::gdr-lists-111111111111-eu-central-1", "arn:aws:s3:::gdr-lists-111111111111-eu-central-1/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
    ])
    error_message = "The bucket must be private, encrypted, and reached over TLS only."
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
    condition     = length(aws_s3_bucket.lists) + length(aws_s3_object.list) + length(aws_s3_bucket_policy.lists) == 0 && output.bucket_name == null
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

run "trusted_bad_name" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { "a/b" = { addresses = ["192.0.2.1"] } }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "trusted_neither" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { abc = {} }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "trusted_misspelt" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { abc = { adresses = ["192.0.2.1"] } }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "trusted_both" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { abc = { addresses = ["192.0.2.1"], location = "s3://b/k", format = "TXT" } }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "trusted_no_format" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { abc = { location = "s3://b/k" } }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "trusted_bad_format" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { abc = { location = "s3://b/k", format = "CSV" } }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "trusted_bad_location" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { abc = { location = "http://b/k", format = "TXT" } }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "trusted_empty" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { abc = { addresses = [] } }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "trusted_not_an_address" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { abc = { addresses = ["192.0.2.256"] } }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "trusted_not_a_range" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { abc = { addresses = ["192.0.2.0/33"] } }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "trusted_version_6" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { abc = { addresses = ["2001:db8::1"] } }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "trusted_everybody" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { abc = { addresses = ["0.0.0.0/0"] } }
  }

  expect_failures = [var.trusted_ip_lists]
}

run "trusted_too_long" {
  command = plan

  module {
    source = "./modules/ip-lists"
  }

  variables {
    trusted_ip_lists = { abc = { addresses = flatten([for n in range(3) : [for m in range(667) : "192.0.2.1"]]) } }
  }

  expect_failures = [var.trusted_ip_lists]
}
