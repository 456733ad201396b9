# The switches of a member account's roles. This file is the same in member-roles, responder-role and
# responder-stackset.

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

variable "security_account_id" {
  description = "The account in which the response runs (the delegated administrator)."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.security_account_id))
    error_message = "security_account_id must be a 12-digit account id."
  }
}

variable "organization_id" {
  description = "AWS Organizations id (o-…). If set, the member roles trust only principals of this organization."
  type        = string
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "organization_id must be an AWS Organizations id such as o-a1b2c3d4e5, or null."
  }
}

variable "playbooks" {
  description = "Playbooks that may change resources in this account; with null, all. A playbook that is left out has no role here and can change nothing, whatever the switches say."
  type        = set(string)
  default     = null

  validation {
    condition     = var.playbooks == null ? true : alltrue([for name in var.playbooks : fileexists("${path.module}/../../playbooks/${name}/responder-policy.json")])
    error_message = "playbooks must be names of directories of playbooks/ in this repository: ${join(", ", [for f in fileset("${path.module}/../../playbooks", "*/responder-policy.json") : dirname(f)])}."
  }
}

variable "restore" {
  description = <<-EOT
    Playbooks whose containment the restore function may undo in this account. Needed for the option restore of
    the playbook. If off, the restorer role does not exist.
  EOT
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.restore : fileexists("${path.module}/../../playbooks/${name}/restorer-policy.json")])
    error_message = "restore must be names of playbooks that can restore: ${join(", ", [for f in fileset("${path.module}/../../playbooks", "*/restorer-policy.json") : dirname(f)])}."
  }
}

variable "remediate" {
  description = <<-EOT
    Playbooks that may undo, in reversible forms, what a contained principal did in this account. Needed for
    the options remediate and rotate_key of the playbook. If off, such changes are only reported.
  EOT
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.remediate : fileexists("${path.module}/../../playbooks/${name}/remediator-policy.json")])
    error_message = "remediate must be names of playbooks that can remediate: ${join(", ", [for f in fileset("${path.module}/../../playbooks", "*/remediator-policy.json") : dirname(f)])}."
  }
}

variable "rotate_keys" {
  description = <<-EOT
    Lets the eradication function create one new access key for a contained user and store it in Secrets Manager.
    Needed for iam_principal.rotate_key. If off, no role of the response can create credentials.
  EOT
  type        = bool
  default     = false
  nullable    = false
}

variable "terminate" {
  description = <<-EOT
    Playbooks that may terminate in this account what they contained. Needed for finish = "terminate". If off, no role
    of the response can destroy anything.
  EOT
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.terminate : fileexists("${path.module}/../../playbooks/${name}/terminator-policy.json")])
    error_message = "terminate must be names of playbooks that can terminate: ${join(", ", [for f in fileset("${path.module}/../../playbooks", "*/terminator-policy.json") : dirname(f)])}."
  }
}

variable "forensics" {
  description = <<-EOT
    Lets a quarantined instance keep what its SSM agent needs, if its network reaches SSM and nothing else. Needed for
    forensics.when = "after". If off, the role of a quarantined instance may do nothing.
  EOT
  type        = bool
  default     = false
  nullable    = false
}

variable "untrack_connections" {
  description = <<-EOT
    Lets ec2_instance open an all-open group of its own for the seconds that flushing tracked connections takes.
    Needed for ec2_instance.untrack_connections. If off, no role of the response can open a port.
  EOT
  type        = bool
  default     = false
  nullable    = false
}

variable "identity_center" {
  description = <<-EOT
    Set to true in the account from which Identity Center is managed (the management account or its delegated
    administrator), and nowhere else. It adds the role with which the playbook iam_principal contains Identity Center
    users, the role that looks whether that holds and, if restore names iam_principal, the role that undoes it. Needed
    for iam_principal.identity_center.
  EOT
  type        = bool
  default     = false
  nullable    = false
}

variable "iam" {
  description = "Path and permissions boundary of every role, as { path, permissions_boundary }. The path must be the same as in the security account."
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
