variable "name_prefix" {
  description = "Prefix of the names of budget, schedule and role."
  type        = string
  nullable    = false
}

variable "arn_base" {
  description = "partition, region and account_id of the topic and the schedule."
  type        = object({ partition = string, region = string, account_id = string })
  nullable    = false
}

variable "monthly_limit_usd" {
  description = <<-EOT
    Monthly budget for Amazon GuardDuty in US dollars, or null for none. It counts what this account pays. In the
    management account, it counts what the organization pays.
  EOT
  type        = number
  default     = null

  validation {
    condition     = var.monthly_limit_usd == null ? true : var.monthly_limit_usd > 0
    error_message = "monthly_limit_usd is an amount in US dollars above 0, such as 250; null for no budget."
  }
  validation {
    condition     = var.monthly_limit_usd == null || var.notify_topic || length(var.email_addresses) > 0
    error_message = "A budget needs somebody to tell: set notify_topic and topic_arn, or email_addresses."
  }
}

variable "thresholds" {
  description = <<-EOT
    Percentages of the budget at which people are notified: of the amount spent (actual) and of the amount forecast
    for the month (forecast; Budgets forecasts after about five weeks of use).
  EOT
  type        = map(list(number))
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.thresholds), ["actual", "forecast"])) == 0
    error_message = "thresholds has no ${join(", ", setsubtract(keys(var.thresholds), ["actual", "forecast"]))}: its keys are actual and forecast."
  }

  validation {
    condition     = length(coalesce(lookup(var.thresholds, "actual", null), [80, 100])) + length(coalesce(lookup(var.thresholds, "forecast", null), [100])) >= 1 && length(coalesce(lookup(var.thresholds, "actual", null), [80, 100])) + length(coalesce(lookup(var.thresholds, "forecast", null), [100])) <= 10
    error_message = "thresholds.actual and thresholds.forecast need 1 to 10 percentages together (Budgets takes 10 notifications); there are ${length(coalesce(lookup(var.thresholds, "actual", null), [80, 100])) + length(coalesce(lookup(var.thresholds, "forecast", null), [100]))}."
  }
  validation {
    condition     = alltrue([for percent in concat(coalesce(lookup(var.thresholds, "actual", null), [80, 100]), coalesce(lookup(var.thresholds, "forecast", null), [100])) : percent > 0 && percent <= 1000]) && alltrue([for list in [coalesce(lookup(var.thresholds, "actual", null), [80, 100]), coalesce(lookup(var.thresholds, "forecast", null), [100])] : length(distinct(list)) == length(list)])
    error_message = "thresholds are different percentages above 0 and up to 1000, such as 80 and 100; wrong: ${join(", ", concat(coalesce(lookup(var.thresholds, "actual", null), [80, 100]), coalesce(lookup(var.thresholds, "forecast", null), [100])))}."
  }
}

locals {
  # With their defaults
  thresholds = {
    actual   = coalesce(lookup(var.thresholds, "actual", null), [80, 100])
    forecast = coalesce(lookup(var.thresholds, "forecast", null), [100])
  }
}

variable "email_addresses" {
  description = "Up to 10 addresses to which Budgets itself writes, in addition to the topic."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.email_addresses) <= 10
    error_message = "Budgets takes 10 e-mail addresses per notification; there are ${length(var.email_addresses)}. Use a distribution list or the topic."
  }
  validation {
    condition     = alltrue([for address in var.email_addresses : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "email_addresses must be e-mail addresses; wrong: ${join(", ", [for address in var.email_addresses : "\"${address}\"" if !can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])}."
  }
}

variable "notify_topic" {
  description = <<-EOT
    Notifies an SNS topic of this account (topic_arn). The topic's policy must let budgets.amazonaws.com publish, and
    its key must let it encrypt. With a wrong policy, alerts are lost without an error.
  EOT
  type        = bool
  default     = false
  nullable    = false
}

variable "topic_arn" {
  description = "ARN of that topic, if notify_topic is true. It must be in the same account, because Budgets accepts no other."
  type        = string
  default     = null

  validation {
    condition     = var.notify_topic ? can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.topic_arn)) : true
    error_message = "topic_arn must be the ARN of a standard SNS topic when notify_topic is true."
  }
  validation {
    condition     = var.notify_topic ? try(split(":", var.topic_arn)[4], var.arn_base.account_id) == var.arn_base.account_id : true
    error_message = "topic_arn must be a topic of account ${var.arn_base.account_id}: Budgets refuses topics of other accounts. Leave the topic out (notify_topic = false) and use email_addresses."
  }
}

variable "topic_encrypted" {
  description = "Says that the topic is encrypted with topic_kms_key_arn."
  type        = bool
  default     = false
  nullable    = false
}

variable "topic_kms_key_arn" {
  description = "ARN of the topic's key, if topic_encrypted is true."
  type        = string
  default     = null

  validation {
    condition     = var.topic_encrypted ? can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.topic_kms_key_arn)) : true
    error_message = "topic_kms_key_arn must be the ARN of a KMS key (not an alias) when topic_encrypted is true."
  }
}

variable "trial_ends_on" {
  description = <<-EOT
    Last day (YYYY-MM-DD, UTC) of GuardDuty's 30-day free trial in this account and Region, as the console shows it
    under Usage, or null if there is none. The topic is notified trial_notice_days before, and plans of the last week
    warn. A past date has no effect: the first plan after the notification removes the schedule and its role.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.trial_ends_on == null ? true : can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", var.trial_ends_on)) && can(timeadd("${var.trial_ends_on}T00:00:00Z", "0h"))
    error_message = "trial_ends_on must be a day such as 2026-12-31, not \"${coalesce(var.trial_ends_on, "-")}\"."
  }
}

variable "trial_notice_days" {
  description = "How many days before trial_ends_on the topic is notified."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.trial_notice_days >= 1 && var.trial_notice_days <= 29 && floor(var.trial_notice_days) == var.trial_notice_days
    error_message = "trial_notice_days must be a whole number from 1 to 29 (the trial has 30 days)."
  }
}

variable "iam" {
  description = "Path and permissions boundary of the role."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.iam), ["path", "permissions_boundary"])) == 0
    error_message = "iam has no ${join(", ", setsubtract(keys(var.iam), ["path", "permissions_boundary"]))}: its keys are path and permissions_boundary."
  }
}

locals {
  # With their defaults
  iam = {
    path                 = lookup(var.iam, "path", null) == null ? "/" : var.iam.path
    permissions_boundary = lookup(var.iam, "permissions_boundary", null)
  }
}

variable "tags" {
  description = "Tags of the budget and the role."
  type        = map(string)
  default     = {}
  nullable    = false
}
