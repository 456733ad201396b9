# Lists of addresses and domains, as stacks of CloudFormation: the AWS provider has no resource for them. What a list may
# be, and its bucket, are tested in list_files.tftest.hcl.

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
    source = "./modules/entity-lists"
  }

  variables {
    trusted = { office = { entities = ["198.51.100.7", "vpn.example.com"] } }
    threat = {
      seen-lately = { entities = ["203.0.113.0/24", "bad.example.org"] }
      feed        = { location = "https://feeds.s3.eu-central-1.amazonaws.com/stix.xml", format = "STIX", bucket_owner = "222222222222" }
    }
    tags = { team = "security" }
  }

  assert {
    condition = { for key, stack in aws_cloudformation_stack.list : key => "${stack.name} ${jsondecode(stack.template_body).Resources.List.Type}" } == {
      "trusted/office"     = "gdr-entities-trusted-office AWS::GuardDuty::TrustedEntitySet"
      "threat/feed"        = "gdr-entities-threat-feed AWS::GuardDuty::ThreatEntitySet"
      "threat/seen-lately" = "gdr-entities-threat-seen-lately AWS::GuardDuty::ThreatEntitySet"
    }
    error_message = "Each list must be a stack of its own, with the resource type of its kind: ${jsonencode(output.stack_names)}"
  }
  assert {
    condition = jsondecode(aws_cloudformation_stack.list["threat/feed"].template_body).Resources.List.Properties == {
      Activate = true, DetectorId = "12abc34d567e8fa901bc2d34e56789f0", ExpectedBucketOwner = "222222222222", Format = "STIX"
      Location = "https://feeds.s3.eu-central-1.amazonaws.com/stix.xml", Name = "feed", Tags = [{ Key = "team", Value = "security" }]
    }
    error_message = "A list of somebody else's must be read where it lies, in its format, from the account that is named: ${aws_cloudformation_stack.list["threat/feed"].template_body}"
  }
  assert {
    condition = alltrue([
      jsondecode(aws_cloudformation_stack.list["trusted/office"].template_body).Resources.List.Properties.Format == "TXT",
      jsondecode(aws_cloudformation_stack.list["trusted/office"].template_body).Resources.List.Properties.ExpectedBucketOwner == "111111111111",
      jsondecode(aws_cloudformation_stack.list["trusted/office"].template_body).Resources.List.Properties.Location == output.locations["trusted/office"],
      output.locations["trusted/office"] == "https://gdr-entities-111111111111-eu-central-1.s3.eu-central-1.amazonaws.com/trusted/office-${substr(sha256("198.51.100.7\nvpn.example.com\n"), 0, 16)}.txt",
      output.bucket_name == "gdr-entities-111111111111-eu-central-1",
    ])
    error_message = "Entities must be written one per line, and the location must name their content, so that GuardDuty loads a change: ${output.locations["trusted/office"]}"
  }
}

run "only_locations" {
  command = plan

  module {
    source = "./modules/entity-lists"
  }

  variables {
    threat = { feed = { location = "https://feeds.s3.eu-central-1.amazonaws.com/list.txt", format = "TXT" } }
  }

  assert {
    condition = output.bucket_name == null && (
      !contains(keys(jsondecode(aws_cloudformation_stack.list["threat/feed"].template_body).Resources.List.Properties), "ExpectedBucketOwner")
    )
    error_message = "Lists that lie elsewhere need no bucket here."
  }
}

run "trusted_too_many" {
  command = plan

  module {
    source = "./modules/entity-lists"
  }

  variables {
    trusted = { a = { entities = ["192.0.2.1"] }, b = { entities = ["192.0.2.2"] } }
  }

  expect_failures = [var.trusted]
}

run "misspelt_key_of_a_list" {
  command = plan

  module {
    source = "./modules/entity-lists"
  }

  variables {
    trusted = { office = { entities = ["198.51.100.7"], owner = "222222222222" } }
    threat  = { seen = { addresses = ["192.0.2.66"] } }
  }

  expect_failures = [var.trusted, var.threat]
}
