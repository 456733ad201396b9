# What the security account hands over. This file is the same in member-roles, responder-role and responder-stackset.

variable "for_member_accounts" {
  description = <<-EOT
    The output for_member_accounts of the root module in the security account; from another state,
    jsondecode(file("…")) of its output for_member_accounts_json. An account whose roles may do less takes the value
    without some of its roles (docs/permissions.md).
  EOT
  type = object({
    name_prefix         = string
    security_account_id = string
    organization_id     = string
    partition           = string
    iam_path            = string
    roles = map(object({
      name                      = string
      trusted_function_role_arn = string
    }))
    instance_roles      = map(string)
    rotate_keys         = bool
    untrack_connections = bool
    forwarder = object({
      event_bus_arn = string
      rules         = map(object({ description = string, pattern = string }))
    })
  })
  nullable = false

  validation {
    condition     = alltrue([for key in keys(var.for_member_accounts.roles) : fileexists("${path.module}/../../playbooks/${basename(key)}/${dirname(key)}-policy.json")])
    error_message = "for_member_accounts.roles names roles for which this release has no policy: ${join(", ", [for key in keys(var.for_member_accounts.roles) : key if !fileexists("${path.module}/../../playbooks/${basename(key)}/${dirname(key)}-policy.json")])}. Take the value from the root module of the same release as this module."
  }
  validation {
    condition     = length(setsubtract(keys(var.for_member_accounts.instance_roles), ["quarantine", "quarantine_ssm"])) == 0 && contains(keys(var.for_member_accounts.instance_roles), "quarantine")
    error_message = "for_member_accounts.instance_roles must have quarantine, and may have quarantine_ssm: containment gives a quarantined instance that role."
  }
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of every role."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary))
    error_message = "permissions_boundary must be the ARN of an IAM policy (arn:aws:iam::111122223333:policy/name), or null."
  }
}

variable "identity_center" {
  description = <<-EOT
    Set to true in the account from which Identity Center is managed (the management account or its delegated
    administrator), and nowhere else. It adds the role with which the playbook iam_principal contains Identity Center
    users, the role that looks whether that holds and, with the option restore, the role that undoes it. Needed for
    iam_principal.identity_center, which puts these roles into for_member_accounts.
  EOT
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.identity_center || contains(keys(var.for_member_accounts.roles), "identity-center-responder/iam_principal")
    error_message = "identity_center = true, but for_member_accounts has no role for it: set iam_principal.identity_center in the security account first, and take its new value."
  }
}
