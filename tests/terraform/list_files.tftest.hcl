# Lists of addresses and of entities: written ones get a private bucket and a new key per content; wrong ones are refused.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  name_prefix = "gdr"
  arn_base    = { partition = "aws", region = "eu-central-1", account_id = "111111111111" }
}

run "addresses" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind = "addresses"
    lists = {
      "trusted/my office" = { entries = ["198.51.100.7", "203.0.113.0/24"] }
      "threat/seen"       = { entries = flatten([for n in range(3) : [for m in range(667) : "192.0.2.66"]]) } # more than a trusted one may have
      "threat/feed"       = { location = "s3://feeds/stix.xml", format = "STIX" }
    }
  }

  assert {
    condition = alltrue([
      output.bucket_name == "gdr-lists-111111111111-eu-central-1",
      keys(aws_s3_object.list) == ["threat/seen", "trusted/my office"],
      aws_s3_object.list["trusted/my office"].content == "198.51.100.7\n203.0.113.0/24\n",
      output.keys["trusted/my office"] == "trusted/my office-${substr(sha256("198.51.100.7\n203.0.113.0/24\n"), 0, 16)}.txt",
    ])
    error_message = "Addresses must be written one per line, under a key that names their content."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.lists[0].block_public_acls, aws_s3_bucket_public_access_block.lists[0].block_public_policy,
      aws_s3_bucket_public_access_block.lists[0].ignore_public_acls, aws_s3_bucket_public_access_block.lists[0].restrict_public_buckets,
      one(aws_s3_bucket_ownership_controls.lists[0].rule).object_ownership == "BucketOwnerEnforced",
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

run "entities" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "entities"
    lists = { "threat/seen" = { entries = ["203.0.113.0/24", "bad.example.org"] } }
  }

  assert {
    condition     = output.bucket_name == "gdr-entities-111111111111-eu-central-1" && aws_s3_object.list["threat/seen"].content == "203.0.113.0/24\nbad.example.org\n"
    error_message = "Lists of entities hold domains too, in a bucket of their own."
  }
}

run "only_files_that_exist" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "entities"
    lists = { "threat/feed" = { location = "https://feeds.s3.eu-central-1.amazonaws.com/list.txt", format = "TXT", bucket_owner = "222222222222" } }
  }

  assert {
    condition     = length(aws_s3_bucket.lists) + length(aws_s3_object.list) + length(aws_s3_bucket_policy.lists) == 0 && output.bucket_name == null
    error_message = "A list that exists needs no bucket."
  }
}

run "addresses_bad_name" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "trusted/a/b" = { entries = ["192.0.2.1"] } }
  }

  expect_failures = [var.lists]
}

run "addresses_neither" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "trusted/abc" = {} }
  }

  expect_failures = [var.lists]
}

run "addresses_both" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "trusted/abc" = { entries = ["192.0.2.1"], location = "s3://b/k", format = "TXT" } }
  }

  expect_failures = [var.lists]
}

run "addresses_no_format" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "threat/abc" = { location = "s3://b/k" } }
  }

  expect_failures = [var.lists]
}

run "addresses_bad_format" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "threat/abc" = { location = "s3://b/k", format = "CSV" } }
  }

  expect_failures = [var.lists]
}

run "addresses_bad_location" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "threat/abc" = { location = "http://b/k", format = "TXT" } }
  }

  expect_failures = [var.lists]
}

run "addresses_empty" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "trusted/abc" = { entries = [] } }
  }

  expect_failures = [var.lists]
}

run "addresses_too_long" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "trusted/abc" = { entries = flatten([for n in range(3) : [for m in range(667) : "192.0.2.1"]]) } }
  }

  expect_failures = [var.lists]
}

run "addresses_not_an_address" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "trusted/abc" = { entries = ["192.0.2.256"] } }
  }

  expect_failures = [var.lists]
}

run "addresses_not_a_range" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "threat/abc" = { entries = ["192.0.2.0/33"] } }
  }

  expect_failures = [var.lists]
}

run "addresses_version_6" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "trusted/abc" = { entries = ["2001:db8::1"] } }
  }

  expect_failures = [var.lists]
}

run "addresses_everybody" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "threat/abc" = { entries = ["0.0.0.0/0"] } }
  }

  expect_failures = [var.lists]
}

run "addresses_domain" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "addresses"
    lists = { "threat/abc" = { entries = ["bad.example.org"] } }
  }

  expect_failures = [var.lists]
}

run "entities_bad_name" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "entities"
    lists = { "threat/bad_name" = { entries = ["192.0.2.1"] } }
  }

  expect_failures = [var.lists]
}

run "entities_owner_of_what_is_written" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "entities"
    lists = { "threat/abc" = { entries = ["192.0.2.1"], bucket_owner = "222222222222" } }
  }

  expect_failures = [var.lists]
}

run "entities_bad_location" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "entities"
    lists = { "trusted/abc" = { location = "s3://b/k", format = "TXT" } }
  }

  expect_failures = [var.lists]
}

run "entities_too_long" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "entities"
    lists = { "threat/abc" = { entries = [for n in range(1001) : "192.0.2.1"] } }
  }

  expect_failures = [var.lists]
}

run "entities_address_of_a_page" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "entities"
    lists = { "threat/abc" = { entries = ["https://example.com/x"] } }
  }

  expect_failures = [var.lists]
}

run "entities_everybody" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "entities"
    lists = { "threat/abc" = { entries = ["0.0.0.0/0"] } }
  }

  expect_failures = [var.lists]
}

run "entities_version_6" {
  command = plan

  module {
    source = "./modules/list-files"
  }

  variables {
    kind  = "entities"
    lists = { "trusted/abc" = { entries = ["2001:db8::1"] } }
  }

  expect_failures = [var.lists]
}
