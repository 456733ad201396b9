# What limits the response: guardrails, and the pause. They can make a response milder, never stricter.

variable "guardrails" {
  description = <<-EOT
    Limits the response.
    - exempt_accounts, exempt_resources and exempt_principals: nothing is changed there, whatever the mode.
      exempt_resources are ids or ARNs, exempt_principals are ARNs; both can contain *.
    - approval_tag: a resource with this tag is changed only after approval.
    - freeze_windows: RFC 3339 times between which a person is asked.
    - circuit_breaker: if a playbook contains more targets than this within so many minutes, a person is asked.
      targets_per_account and targets_in_all are limits for one account and for all playbooks together; without a
      value there is no such limit. A repeated target counts once. Calls that iam_principal would undo by itself
      (remediate) have the limit targets by themselves, and are left to people beyond it.
    - management_account_id: nothing is changed there, whatever the switches say, and people are notified.
      account_remediations may set it to notify or off, and nothing else.
    - approval_timeout_minutes: how long a person has to answer.
  EOT
  type = object({
    exempt_accounts   = optional(list(string), [])
    exempt_resources  = optional(list(string), [])
    exempt_principals = optional(list(string), [])
    approval_tag      = optional(object({ key = optional(string, "guardduty-response"), value = optional(string, "ask") }), {})
    freeze_windows    = optional(list(object({ name = string, start = string, end = string })), [])
    circuit_breaker = optional(object({
      targets             = optional(number, 10)
      minutes             = optional(number, 60)
      targets_per_account = optional(number)
      targets_in_all      = optional(number)
    }), {})
    management_account_id    = optional(string)
    approval_timeout_minutes = optional(number, 60)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for a in var.guardrails.exempt_accounts : can(regex("^[0-9]{12}$", a))])
    error_message = "guardrails.exempt_accounts must be 12-digit account ids."
  }
  validation {
    condition     = var.guardrails.management_account_id == null || can(regex("^[0-9]{12}$", var.guardrails.management_account_id))
    error_message = "guardrails.management_account_id must be a 12-digit account id, or null."
  }
  validation {
    condition     = alltrue([for r in concat(var.guardrails.exempt_resources, var.guardrails.exempt_principals) : length(replace(r, "*", "")) > 0])
    error_message = "guardrails.exempt_resources and exempt_principals must be ids or ARNs, or globs with more than * in them: to stop every action set paused = true."
  }
  validation {
    condition     = alltrue([for p in var.guardrails.exempt_principals : startswith(p, "arn:")])
    error_message = "guardrails.exempt_principals must be ARNs (arn:aws:iam::111122223333:role/break-glass), with * where needed."
  }
  validation {
    condition     = length(var.guardrails.approval_tag.key) >= 1 && length(var.guardrails.approval_tag.key) <= 128 && length(var.guardrails.approval_tag.value) <= 256
    error_message = "guardrails.approval_tag must have a key of 1 to 128 characters and a value of at most 256."
  }
  validation {
    condition     = alltrue([for w in var.guardrails.freeze_windows : length(w.name) > 0 && can(timecmp(w.start, w.end)) ? timecmp(w.start, w.end) < 0 : false])
    error_message = "guardrails.freeze_windows must have a name, and a start before its end, both as RFC 3339 times such as 2026-11-30T00:00:00Z."
  }
  validation {
    condition = alltrue([
      for n in values(var.guardrails.circuit_breaker) : n == null ? true : n >= 1 && floor(n) == n
    ]) && var.guardrails.circuit_breaker.minutes <= 1440
    error_message = "guardrails.circuit_breaker must have targets, targets_per_account and targets_in_all of at least 1 and minutes from 1 to 1440, whole numbers."
  }
  validation {
    condition     = var.guardrails.approval_timeout_minutes >= 1 && var.guardrails.approval_timeout_minutes <= 10080 && floor(var.guardrails.approval_timeout_minutes) == var.guardrails.approval_timeout_minutes
    error_message = "guardrails.approval_timeout_minutes must be a whole number from 1 to 10080 (a week)."
  }
}

variable "paused" {
  description = "Stops every change, and says so in every message. Findings are still recorded and people are notified."
  type        = bool
  default     = false
  nullable    = false
}
