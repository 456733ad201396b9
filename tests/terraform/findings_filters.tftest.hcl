# Suppression filters: order is rank, criteria as GuardDuty takes them, and every wrong value refused.

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  detector_id = "12abc34d567e8fa901bc2d34e56789f0"
}

run "order_is_rank" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [
      { name = "scanner", description = "Our own scanner (203.0.113.7).", criteria = { type = { equals = ["Recon:EC2/Portscan", "Recon:EC2/PortProbeUnprotectedPort"] }, accountId = { not_equals = ["222222222222"] } } },
      { name = "low", criteria = { severity = { less_than = ["4"], greater_than_or_equal = ["1"] }, updatedAt = { greater_than = ["2026-01-01T00:00:00Z"], less_than_or_equal = ["2026-12-31T00:00:00Z"] } } },
    ]
    tags = { team = "security" }
  }

  assert {
    condition     = { for name, filter in output.filters : name => filter.rank } == { scanner = 1, low = 2 }
    error_message = "The place in the list must be the rank."
  }
}

run "one_place" {
  command = plan

  module {
    source = "./modules/suppression-filters/filter"
  }

  variables {
    filter = {
      detector_id = "d1"
      rank        = 2
      tags        = { team = "security" }
      name        = "second"
      description = "Told."
      criteria    = { severity = { less_than = ["4"], greater_than_or_equal = ["1"] }, accountId = { not_equals = ["222222222222", "333333333333"] }, updatedAt = { greater_than = ["2026-01-01T00:00:00Z"], less_than_or_equal = ["2026-12-31T00:00:00Z"] } }
    }
  }

  assert {
    condition = alltrue([
      length(aws_guardduty_filter.this) == 1, aws_guardduty_filter.this[0].name == "second", aws_guardduty_filter.this[0].rank == 2,
      aws_guardduty_filter.this[0].action == "ARCHIVE", aws_guardduty_filter.this[0].description == "Told.", aws_guardduty_filter.this[0].tags == tomap({ team = "security" }),
    ])
    error_message = "A place must make the filter of its rank."
  }
  assert {
    condition = jsonencode({
      for criterion in aws_guardduty_filter.this[0].finding_criteria[0].criterion :
      criterion.field => [criterion.equals, criterion.not_equals, criterion.greater_than, criterion.greater_than_or_equal, criterion.less_than, criterion.less_than_or_equal]
      }) == jsonencode({
      severity  = [null, null, null, "1", "4", null]
      accountId = [null, ["222222222222", "333333333333"], null, null, null, null]
      updatedAt = [null, null, "2026-01-01T00:00:00Z", null, null, "2026-12-31T00:00:00Z"]
    })
    error_message = "Each operator must land in its own argument, and in no other."
  }
}

run "an_empty_place" {
  command = plan

  module {
    source = "./modules/suppression-filters/filter"
  }

  assert {
    condition     = length(aws_guardduty_filter.this) == 0 && output.filter == {}
    error_message = "A place without a filter must make nothing."
  }
}

run "thirty_fit" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [for n in range(30) : { name = "filter-${n}", criteria = { type = { equals = ["Recon:EC2/Portscan"] } } }]
  }

  assert {
    condition     = { for name, filter in output.filters : name => filter.rank } == { for n in range(30) : "filter-${n}" => n + 1 }
    error_message = "Thirty filters must have the ranks 1 to 30, in their order."
  }
}

run "too_many" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [for n in range(31) : { name = "filter-${n}", criteria = { type = { equals = ["Recon:EC2/Portscan"] } } }]
  }

  expect_failures = [var.filters]
}

run "bad_name" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "has space", criteria = { type = { equals = ["Recon:EC2/Portscan"] } } }]
  }

  expect_failures = [var.filters]
}

run "short_name" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "ab", criteria = { type = { equals = ["Recon:EC2/Portscan"] } } }]
  }

  expect_failures = [var.filters]
}

run "same_name" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "same", criteria = { type = { equals = ["Recon:EC2/Portscan"] } } }, { name = "same", criteria = { type = { equals = ["Recon:EC2/Portscan"] } } }]
  }

  expect_failures = [var.filters]
}

run "bad_description" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "abc", description = "50% & more", criteria = { type = { equals = ["Recon:EC2/Portscan"] } } }]
  }

  expect_failures = [var.filters]
}

run "no_criteria" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "abc", criteria = {} }]
  }

  expect_failures = [var.filters]
}

run "bad_field" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "abc", criteria = { "resource..instanceId" = { equals = ["i-1"] } } }]
  }

  expect_failures = [var.filters]
}

run "unknown_operator" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "abc", criteria = { type = { equal = ["Recon:EC2/Portscan"] } } }]
  }

  expect_failures = [var.filters]
}

run "matches_is_not_in_version_5" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "abc", criteria = { type = { matches = ["Recon:*"] } } }]
  }

  expect_failures = [var.filters]
}

run "no_operator" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "abc", criteria = { type = {} } }]
  }

  expect_failures = [var.filters]
}

run "no_value" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "abc", criteria = { type = { equals = [] } } }]
  }

  expect_failures = [var.filters]
}

run "too_many_values" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "abc", criteria = { accountId = { equals = [for n in range(51) : tostring(n)] } } }]
  }

  expect_failures = [var.filters]
}

run "two_limits" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "abc", criteria = { severity = { less_than = ["4", "5"] } } }]
  }

  expect_failures = [var.filters]
}

run "misspelt_key_of_a_filter" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "abc", describtion = "Ours.", criteria = { type = { equals = ["Recon:EC2/Portscan"] } } }]
  }

  expect_failures = [var.filters]
}

run "filter_without_criteria" {
  command = plan

  module {
    source = "./modules/suppression-filters"
  }

  variables {
    filters = [{ name = "abc" }]
  }

  expect_failures = [var.filters]
}
