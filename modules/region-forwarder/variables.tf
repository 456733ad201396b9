variable "for_member_accounts" {
  description = <<-EOT
    The output for_member_accounts of the root module in the security account; from another state,
    jsondecode(file("…")) of its output for_member_accounts_json.
  EOT
  type = object({
    name_prefix = string
    iam_path    = string
    forwarder = object({
      event_bus_arn = string
      rules         = map(object({ description = string, pattern = string }))
    })
  })
  nullable = false

  validation {
    condition     = var.for_member_accounts.forwarder != null
    error_message = "for_member_accounts.forwarder is null: the security account's event bus takes nothing from member accounts. In the root module, set event_forwarding = { from_organization = true }; watch.cloudtrail must be on. Or leave this module out."
  }
  validation {
    condition     = var.for_member_accounts.forwarder == null ? true : can(regex("^arn:[a-z-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/default$", var.for_member_accounts.forwarder.event_bus_arn))
    error_message = "for_member_accounts.forwarder.event_bus_arn must be the ARN of a default event bus (arn:aws:events:<aggregation Region>:<security account>:event-bus/default): the response's rules are on that bus."
  }
  validation {
    condition     = var.for_member_accounts.forwarder == null ? true : length(var.for_member_accounts.forwarder.rules) > 0
    error_message = "for_member_accounts.forwarder.rules is empty: nothing would be forwarded."
  }
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of the role."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary))
    error_message = "permissions_boundary must be the ARN of an IAM policy (arn:aws:iam::111122223333:policy/name), or null."
  }
}

variable "alarm_topic_arns" {
  description = <<-EOT
    SNS topics of this account and Region that are notified when an event could not be forwarded (an alarm needs a
    topic in its own Region), in addition to email_addresses.
  EOT
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", arn))])
    error_message = "alarm_topic_arns must be ARNs of standard SNS topics (arn:aws:sns:<this Region>:<account>:<name>)."
  }
}

variable "email_addresses" {
  description = "Addresses that are notified by e-mail. If there are any, a topic is created here."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for a in var.email_addresses : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", a))])
    error_message = "email_addresses must be e-mail addresses."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
