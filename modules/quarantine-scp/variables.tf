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

variable "target_ids" {
  description = "Ids of the root (r-…), of organizational units (ou-…) or of accounts to which the policy is attached. If empty, it is created and attached to nothing."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.target_ids : can(regex("^(r-[a-z0-9]{4,32}|ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|[0-9]{12})$", id))])
    error_message = "target_ids must be ids of a root (r-ab12), of organizational units (ou-ab12-cdef3456) or 12-digit account ids."
  }
}

variable "exempt_principal_arns" {
  description = "ARNs, with * where needed, of principals that may lift a quarantine all the same, such as break-glass roles."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.exempt_principal_arns : can(regex("^arn:[a-z*-]+:(iam|sts)::([0-9]{12}|\\*):[a-z-]+/.*[^*/].*$", arn))])
    error_message = "exempt_principal_arns must be ARNs of roles or users (arn:aws:iam::*:role/break-glass), with a name and not * alone: * would exempt everybody."
  }

  validation {
    condition     = alltrue([for arn in var.exempt_principal_arns : !strcontains(arn, ":assumed-role/")])
    error_message = "exempt_principal_arns must name roles, not their sessions (${join(", ", [for arn in var.exempt_principal_arns : arn if strcontains(arn, ":assumed-role/")])}): IAM compares aws:PrincipalArn of a session with the ARN of its role, so this would spare nobody."
  }
}

variable "deployer_principal_arns" {
  description = <<-EOT
    ARNs, with * where needed, of the principals that apply modules/responder-role in member accounts, and the response
    itself if the policies reach the security account, such as the role of a pipeline. They, the exempt principals and
    StackSets alone may create, change or delete the response's roles.
  EOT
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.deployer_principal_arns : can(regex("^arn:[a-z*-]+:(iam|sts)::([0-9]{12}|\\*):[a-z-]+/.*[^*/].*$", arn))])
    error_message = "deployer_principal_arns must be ARNs of roles or users (arn:aws:iam::*:role/terraform), with a name and not * alone: * would let everybody replace the response's roles."
  }

  validation {
    condition     = alltrue([for arn in var.deployer_principal_arns : !strcontains(arn, ":assumed-role/")])
    error_message = "deployer_principal_arns must name roles, not their sessions (${join(", ", [for arn in var.deployer_principal_arns : arn if strcontains(arn, ":assumed-role/")])}): IAM compares aws:PrincipalArn of a session with the ARN of its role, so this would spare nobody."
  }
}

variable "stackset_execution_roles" {
  description = <<-EOT
    Names, with * where needed, of the roles in member accounts with which StackSets deploy modules/responder-stackset.
    The default has that of service-managed permissions and AWS's name for self-managed ones. With AWS Control Tower,
    add AWSControlTowerExecution if its StackSets deploy the roles. Nobody else may change roles of these names.
  EOT
  type        = list(string)
  default     = ["stacksets-exec-*", "AWSCloudFormationStackSetExecutionRole"]
  nullable    = false

  validation {
    condition     = alltrue([for name in var.stackset_execution_roles : can(regex("^[A-Za-z0-9_+=,.@/-]*[A-Za-z0-9][A-Za-z0-9_+=,.@/*-]*$", name))])
    error_message = "stackset_execution_roles must be names of roles (with their path, without the first slash), and not * alone: * would let everybody replace the response's roles."
  }
}

variable "ec2" {
  description = "Creates the policy for instances, too. An account or organizational unit takes a limited number of policies; this makes it two."
  type        = bool
  default     = true
  nullable    = false
}

variable "denied_roles" {
  description = "Protects the inline policies of roles on which sessions are denied, although the role itself is not contained. While they are denied, nobody else can write or delete an inline policy of such a role, its owner's deployments included."
  type        = bool
  default     = true
  nullable    = false
}

variable "policy_characters" {
  description = "Characters that AWS Organizations takes in a service control policy. Its documentation says 5120; reports of May 2026 say 10240."
  type        = number
  default     = 5120
  nullable    = false

  validation {
    condition     = var.policy_characters >= 5120 && var.policy_characters <= 10240
    error_message = "policy_characters must be from 5120 to 10240."
  }
}

variable "iam_path" {
  description = "Path of the response's roles (iam.path of the root module)."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^/([A-Za-z0-9_+=,.@-]+/)*$", var.iam_path))
    error_message = "iam_path must start and end with a slash, for example \"/\" or \"/security/\"."
  }
}

variable "tags" {
  description = "Tags of the policy."
  type        = map(string)
  default     = {}
  nullable    = false
}
