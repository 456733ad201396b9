output "budget_name" {
  description = "Name of the budget (null without one)."
  value       = one(aws_budgets_budget.this[*].name)
}

output "trial_notice_at" {
  description = "When the topic is notified that the free trial ends (UTC). Null if there is no such date, or if it is past."
  value       = local.notice_ahead ? local.notice_at : null
}

output "trial_notice_policy" {
  description = "What the role that notifies of the end of the trial may do, as JSON (null if there is none)."
  value       = local.notice_ahead ? local.notice_policy : null
}
