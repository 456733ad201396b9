variable "name_prefix" {
  description = "Prefix of every name. It must be the same as in the security account."
  type        = string
  default     = "guardduty-response"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,24}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix must be 2 to 26 characters long: lower-case letters, digits and hyphens, starting with a letter and not ending in a hyphen."
  }

  validation {
    condition     = !startswith("${var.name_prefix}-", "sg-")
    error_message = "name_prefix must not be sg nor begin with sg-: the quarantine security group is named after it, and EC2 takes no name that begins with sg-."
  }
}

variable "event_bus_arn" {
  description = "The default event bus of the aggregation Region in the security account: output event_bus_arn of the root module."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/default$", var.event_bus_arn))
    error_message = "event_bus_arn must be the ARN of a default event bus (arn:aws:events:<aggregation Region>:<security account>:event-bus/default): the response's rules are on that bus."
  }
}

variable "events" {
  description = "What is forwarded: findings (security account only), and changes (API calls that can undo a containment). In member accounts: [\"changes\"]."
  type        = set(string)
  default     = ["findings", "changes"]
  nullable    = false

  validation {
    condition     = length(var.events) > 0 && length(setsubtract(var.events, ["findings", "changes"])) == 0
    error_message = "events must contain findings, changes or both."
  }
  validation {
    condition     = contains(var.events, "findings") || try(length(var.playbooks) > 0, true)
    error_message = "events = [\"changes\"] without playbooks forwards nothing: name the playbooks whose containment is watched, or do not use this module."
  }
}

variable "playbooks" {
  description = <<-EOT
    Playbooks whose containment is monitored: those in use in the security account (and those of this member account's
    roles). With null, all. playbooks/<name>/undoing-calls.json lists the calls that can undo it.
  EOT
  type        = set(string)
  default     = null

  validation {
    condition     = var.playbooks == null ? true : alltrue([for name in var.playbooks : fileexists("${path.module}/../../playbooks/${name}/undoing-calls.json")])
    error_message = "playbooks must be names of directories of playbooks/ in this repository: ${join(", ", [for f in fileset("${path.module}/../../playbooks", "*/undoing-calls.json") : dirname(f)])}."
  }
}

variable "iam" {
  description = "Path and permissions boundary of the role, as { path, permissions_boundary }. The path must be that of the security account, because its bus accepts only roles with that path."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.iam), ["path", "permissions_boundary"])) == 0
    error_message = "iam has no ${join(", ", setsubtract(keys(var.iam), ["path", "permissions_boundary"]))}: its keys are path and permissions_boundary."
  }
  validation {
    condition     = lookup(var.iam, "path", null) == null ? true : can(regex("^/([A-Za-z0-9_+=,.@-]+/)*$", var.iam.path))
    error_message = "iam.path must start and end with a slash, for example \"/\" or \"/security/\"."
  }
  validation {
    condition     = lookup(var.iam, "permissions_boundary", null) == null ? true : can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.iam.permissions_boundary))
    error_message = "iam.permissions_boundary must be the ARN of an IAM policy (arn:aws:iam::111122223333:policy/name), or null."
  }
}

locals {
  # With their defaults
  iam = {
    path                 = lookup(var.iam, "path", null) == null ? "/" : var.iam.path
    permissions_boundary = lookup(var.iam, "permissions_boundary", null)
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
