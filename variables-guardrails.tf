# What limits the response: its guardrails, each a variable of its own, and the pause. They can make a response milder,
# never stricter. A misspelt one fails the plan: an exemption that is lost in silence would be noticed too late.

variable "exempt_accounts" {
  description = "12-digit ids of accounts where nothing is changed, whatever the mode, and where no dry run is made: the incident ends as SKIPPED, and people are told why."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for account in var.exempt_accounts : can(regex("^[0-9]{12}$", account))])
    error_message = "exempt_accounts must be 12-digit account ids in quotation marks, not ${join(", ", [for account in var.exempt_accounts : "\"${account}\"" if !can(regex("^[0-9]{12}$", account))])}. A number without them loses its leading zeros."
  }
}

variable "exempt_resources" {
  description = "Ids or ARNs of resources that are never changed, with * where needed, such as arn:aws:ec2:*:*:instance/i-0123456789abcdef0."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for resource in var.exempt_resources : length(replace(resource, "*", "")) > 0])
    error_message = "exempt_resources must be ids or ARNs, or globs with more than * in them: to stop every action set paused = true."
  }
}

variable "exempt_principals" {
  description = <<-EOT
    ARNs, with * where needed, of users and roles that are never contained, nor what they are involved in: break-glass
    principals, and the role that applies Terraform.
  EOT
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for principal in var.exempt_principals : length(replace(principal, "*", "")) > 0])
    error_message = "exempt_principals must be ARNs, or globs with more than * in them: to stop every action set paused = true."
  }
  validation {
    condition     = alltrue([for principal in var.exempt_principals : startswith(principal, "arn:") || length(replace(principal, "*", "")) == 0])
    error_message = "exempt_principals must be ARNs (arn:aws:iam::111122223333:role/break-glass), with * where needed, not ${join(", ", [for principal in var.exempt_principals : principal if !startswith(principal, "arn:")])}."
  }
}

variable "management_account_id" {
  description = <<-EOT
    The organization's management account: nothing is changed there, whatever the switches say, and people are
    notified. account_remediations may set it to notify or off, and nothing else.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.management_account_id == null || can(regex("^[0-9]{12}$", var.management_account_id))
    error_message = "management_account_id must be a 12-digit account id in quotation marks, or null."
  }
}

variable "approval_tag" {
  description = "A resource with this tag is changed only after approval, as { key, value }. By default the tag is guardduty-response = ask."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.approval_tag), ["key", "value"])) == 0
    error_message = "approval_tag has no ${join(", ", setsubtract(keys(var.approval_tag), ["key", "value"]))}: its keys are key and value."
  }
  validation {
    condition     = length(coalesce(lookup(var.approval_tag, "key", null), "x")) <= 128 && lookup(var.approval_tag, "key", null) != "" && length(try(coalesce(var.approval_tag.value), "")) <= 256
    error_message = "approval_tag must have a key of 1 to 128 characters and a value of at most 256."
  }
}

variable "approval_timeout_minutes" {
  description = "How long a person has to answer a request for an approval, in minutes."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.approval_timeout_minutes >= 1 && var.approval_timeout_minutes <= 10080 && floor(var.approval_timeout_minutes) == var.approval_timeout_minutes
    error_message = "approval_timeout_minutes must be a whole number from 1 to 10080 (a week)."
  }
}

variable "freeze_windows" {
  description = "Times between which a person is asked, as { name, start, end } with RFC 3339 times such as 2026-11-30T00:00:00Z."
  type        = list(map(string))
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for window in var.freeze_windows : length(setsubtract(keys(window), ["name", "start", "end"])) == 0])
    error_message = "freeze_windows has no ${join(", ", distinct(flatten([for window in var.freeze_windows : [for key in setsubtract(keys(window), ["name", "start", "end"]) : key]])))}: the keys of a window are name, start and end."
  }
  validation {
    condition     = alltrue([for window in var.freeze_windows : try(length(window.name), 0) > 0 && can(timecmp(window.start, window.end)) ? timecmp(window.start, window.end) < 0 : false])
    error_message = "freeze_windows must have a name, and a start before its end, both as RFC 3339 times such as 2026-11-30T00:00:00Z."
  }
}

variable "circuit_breaker" {
  description = <<-EOT
    If a playbook contains more targets (10) than this within so many minutes (60), a person is asked.
    targets_per_account and targets_in_all are limits for one account and for all playbooks together; without a value
    there is no such limit. A repeated target counts once. Calls that iam_principal would undo by itself (remediate)
    have the limit targets by themselves, and are left to people beyond it.
  EOT
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.circuit_breaker), ["targets", "minutes", "targets_per_account", "targets_in_all"])) == 0
    error_message = "circuit_breaker has no ${join(", ", setsubtract(keys(var.circuit_breaker), ["targets", "minutes", "targets_per_account", "targets_in_all"]))}: its keys are targets, minutes, targets_per_account and targets_in_all."
  }
  validation {
    condition = alltrue([
      for name, limit in var.circuit_breaker : limit == null ? true : limit >= 1 && floor(limit) == limit && (name != "minutes" || limit <= 1440)
    ])
    error_message = "circuit_breaker must have targets, targets_per_account and targets_in_all of at least 1 and minutes from 1 to 1440, whole numbers."
  }
}

variable "paused" {
  description = "Stops every change, and says so in every message. Findings are still recorded and people are notified."
  type        = bool
  default     = false
  nullable    = false
}

locals {
  # As the functions read them: with their defaults, and null for a limit that there is not
  guardrails = {
    exempt_accounts   = var.exempt_accounts
    exempt_resources  = var.exempt_resources
    exempt_principals = var.exempt_principals
    approval_tag = {
      for name, default in { key = "guardduty-response", value = "ask" } : name => lookup(var.approval_tag, name, null) == null ? default : var.approval_tag[name]
    }
    freeze_windows = var.freeze_windows
    circuit_breaker = {
      for name, default in { targets = 10, minutes = 60, targets_per_account = null, targets_in_all = null } :
      name => try(coalesce(var.circuit_breaker[name]), default)
    }
    management_account_id    = var.management_account_id
    approval_timeout_minutes = var.approval_timeout_minutes
  }
}
