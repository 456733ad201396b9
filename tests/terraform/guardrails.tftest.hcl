# What is wrong with a guardrail fails the plan, with a sentence (variables.tftest.hcl has the others).

mock_provider "aws" {
  source          = "./tests/terraform/mocks"
  override_during = plan
}

variables {
  notifications = { expected_subscriptions = 1 } # somebody subscribes by other means
}

run "circuit_breaker" {
  command = plan

  variables {
    circuit_breaker = { minutes = 0 }
  }

  expect_failures = [var.circuit_breaker]
}

run "circuit_breaker_of_an_account" {
  command = plan

  variables {
    circuit_breaker = { targets_per_account = 0, targets_in_all = 20 }
  }

  expect_failures = [var.circuit_breaker]
}

run "circuit_breaker_misspelt" {
  command = plan

  variables {
    circuit_breaker = { target = 5 }
  }

  expect_failures = [var.circuit_breaker]
}

run "approval_tag_misspelt" {
  command = plan

  variables {
    approval_tag = { key = "guardduty-response", values = "ask" }
  }

  expect_failures = [var.approval_tag]
}

run "approval_timeout" {
  command = plan

  variables {
    approval_timeout_minutes = 20000
  }

  expect_failures = [var.approval_timeout_minutes]
}

run "freeze_window_misspelt" {
  command = plan

  variables {
    freeze_windows = [{ name = "month end", start = "2026-11-30T00:00:00Z", end = "2026-12-02T00:00:00Z", zone = "CET" }]
  }

  expect_failures = [var.freeze_windows]
}

run "freeze_window_without_an_end" {
  command = plan

  variables {
    freeze_windows = [{ name = "month end", start = "2026-11-30T00:00:00Z" }]
  }

  expect_failures = [var.freeze_windows]
}
