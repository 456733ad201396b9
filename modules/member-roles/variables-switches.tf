# The switches of a member account's roles: the same file in member-roles, responder-role and responder-stackset.

variable "name_prefix" {
  description = "Prefix of every name: the same as in the security account."
  type        = string
  default     = "guardduty-response"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,24}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix must be 2 to 26 characters long: lower-case letters, digits and hyphens, starting with a letter and not ending in a hyphen."
  }
}

variable "security_account_id" {
  description = "The account the response runs in (the delegated administrator)."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.security_account_id))
    error_message = "security_account_id must be a 12-digit account id."
  }
}

variable "organization_id" {
  description = "AWS Organizations id (o-…). When given, the responder roles trust principals of this organization only."
  type        = string
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "organization_id must be an AWS Organizations id such as o-a1b2c3d4e5, or null."
  }
}

variable "playbooks" {
  description = "Playbooks that may act in this account. A playbook left out has no role here and cannot act, whatever the switches say."
  type        = set(string)
  default     = ["ec2_instance", "iam_principal"]
  nullable    = false

  validation {
    condition     = alltrue([for name in var.playbooks : fileexists("${path.module}/../../playbooks/${name}/responder-policy.json")])
    error_message = "playbooks must be names of directories of playbooks/ in this repository: ${join(", ", [for f in fileset("${path.module}/../../playbooks", "*/responder-policy.json") : dirname(f)])}."
  }
}

variable "restore" {
  description = "Playbooks whose containment may be undone in this account by the restore function. Needed for playbooks.<name>.restore; off, no role of the response can open what it closed."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.restore : fileexists("${path.module}/../../playbooks/${name}/restorer-policy.json")])
    error_message = "restore must be names of playbooks that can restore: ${join(", ", [for f in fileset("${path.module}/../../playbooks", "*/restorer-policy.json") : dirname(f)])}."
  }
}

variable "remediate" {
  description = "Playbooks that may undo, in reversible forms, what a contained principal did in this account. Needed for playbooks.<name>.remediate and rotate_key; off, such actions are only reported."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.remediate : fileexists("${path.module}/../../playbooks/${name}/remediator-policy.json")])
    error_message = "remediate must be names of playbooks that can remediate: ${join(", ", [for f in fileset("${path.module}/../../playbooks", "*/remediator-policy.json") : dirname(f)])}."
  }
}

variable "rotate_keys" {
  description = "Lets the remediate function make one new access key for a contained user and keep it in Secrets Manager. Needed for playbooks.iam_principal.rotate_key; off, no role of the response can make credentials."
  type        = bool
  default     = false
  nullable    = false
}

variable "terminate" {
  description = "Playbooks that may terminate what they contained in this account. Needed for finish = \"terminate\"; off, no role of the response can destroy anything."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.terminate : fileexists("${path.module}/../../playbooks/${name}/terminator-policy.json")])
    error_message = "terminate must be names of playbooks that can terminate: ${join(", ", [for f in fileset("${path.module}/../../playbooks", "*/terminator-policy.json") : dirname(f)])}."
  }
}

variable "forensics" {
  description = "Lets a quarantined instance keep what its SSM agent needs, where its network lets it to SSM alone. Needed for forensics.when = \"after\"; off, a quarantined instance's role may do nothing."
  type        = bool
  default     = false
  nullable    = false
}

variable "untrack_connections" {
  description = "Lets ec2_instance open an all-open group of its own for the seconds that untracking takes. Needed for playbooks.ec2_instance.untrack_connections; off, no role of the response can open a port."
  type        = bool
  default     = false
  nullable    = false
}

variable "identity_center" {
  description = "Set to true in the account that Identity Center is managed from (the management account, or the one it is delegated to), and nowhere else: adds the role that the iam_principal playbook contains Identity Center users with and, where restore names iam_principal, the one that undoes it. Needed for playbooks.iam_principal.identity_center."
  type        = bool
  default     = false
  nullable    = false
}

variable "iam" {
  description = "Path and permissions boundary of every role. The path must be the same as in the security account."
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^/([A-Za-z0-9_+=,.@-]+/)*$", var.iam.path))
    error_message = "iam.path must start and end with a slash, for example \"/\" or \"/security/\"."
  }
  validation {
    condition     = var.iam.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.iam.permissions_boundary))
    error_message = "iam.permissions_boundary must be the ARN of an IAM policy (arn:aws:iam::111122223333:policy/name), or null."
  }
}
