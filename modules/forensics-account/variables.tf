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
  description = "The account in which the response runs. Its collector function may have snapshots copied here."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.security_account_id))
    error_message = "security_account_id must be a 12-digit account id."
  }
}

variable "organization_id" {
  description = "AWS Organizations id (o-…). If set, the key and the role serve only principals of this organization."
  type        = string
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "organization_id must be an AWS Organizations id such as o-a1b2c3d4e5, or null."
  }
}

variable "member_account_ids" {
  description = "Accounts whose collector roles may encrypt with the key. If empty, every account of organization_id."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.member_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "member_account_ids must be 12-digit account ids."
  }
}

variable "multi_region" {
  description = <<-EOT
    Creates a multi-Region key, of which modules/forensics-replica makes replicas in other Regions. With false, the
    key serves this Region only, and snapshots of other Regions cannot be copied. Do not change it later: Terraform
    would create another key and schedule the first for deletion, although the existing copies need it.
  EOT
  type        = bool
  default     = true
  nullable    = false
}

variable "playbooks" {
  description = "Playbooks that collect snapshots."
  type        = set(string)
  default     = ["ec2_instance"]
  nullable    = false

  validation {
    condition     = length(var.playbooks) > 0 && alltrue([for name in var.playbooks : can(regex("^[a-z0-9_]+$", name))])
    error_message = "playbooks must be at least one name of lower-case letters, digits and underscores."
  }
}

variable "evidence_replica" {
  description = <<-EOT
    Says how replicas of the evidence bucket are kept, as { create, expire_after_days, force_destroy, object_lock =
    { mode, days } }: create the bucket for them or not, delete them after so many days (null means never), let terraform destroy delete what is in it (force_destroy), and lock
    what comes without a retention of its own (object_lock). Object Lock is enabled in any case, so that the evidence
    bucket may be locked too; the replicas then have its retention.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(try(keys(var.evidence_replica), ["no object"]), ["create", "expire_after_days", "force_destroy", "object_lock"])) == 0
    error_message = "evidence_replica must be an object with create, expire_after_days, force_destroy and object_lock; it has ${join(", ", setsubtract(try(keys(var.evidence_replica), ["no keys"]), ["create", "expire_after_days", "force_destroy", "object_lock"]))}."
  }
  validation {
    condition     = try(var.evidence_replica.object_lock, null) == null ? true : can(var.evidence_replica.object_lock.days) && length(setsubtract(try(keys(var.evidence_replica.object_lock), ["no object"]), ["mode", "days"])) == 0
    error_message = "evidence_replica.object_lock must be an object with days and, if it is not GOVERNANCE, mode, for example { days = 365 }."
  }
  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], try(coalesce(var.evidence_replica.object_lock.mode), "GOVERNANCE"))
    error_message = "evidence_replica.object_lock.mode must be GOVERNANCE or COMPLIANCE."
  }
  validation {
    condition     = !can(var.evidence_replica.object_lock.days) ? true : try(var.evidence_replica.object_lock.days >= 1 && var.evidence_replica.object_lock.days <= 36500 && floor(var.evidence_replica.object_lock.days) == var.evidence_replica.object_lock.days, false)
    error_message = "evidence_replica.object_lock.days must be a whole number from 1 to 36500."
  }
  validation {
    condition     = try(var.evidence_replica.expire_after_days, null) == null ? true : try(var.evidence_replica.expire_after_days >= try(var.evidence_replica.object_lock.days, 1) && floor(var.evidence_replica.expire_after_days) == var.evidence_replica.expire_after_days, false)
    error_message = "evidence_replica.expire_after_days must be a whole number of days, at least 1 and not shorter than evidence_replica.object_lock.days, or null to keep replicas for ever."
  }
  validation {
    condition     = alltrue([for name in ["create", "force_destroy"] : try(var.evidence_replica[name], null) == null ? true : can(tobool(var.evidence_replica[name]))])
    error_message = "evidence_replica.create and evidence_replica.force_destroy must be true or false."
  }
}

locals {
  # With their defaults
  evidence_replica = {
    create            = try(tobool(coalesce(var.evidence_replica.create)), true)
    expire_after_days = try(var.evidence_replica.expire_after_days, null)
    force_destroy     = try(tobool(coalesce(var.evidence_replica.force_destroy)), false)
    object_lock = try(var.evidence_replica.object_lock, null) == null ? null : {
      mode = try(coalesce(var.evidence_replica.object_lock.mode), "GOVERNANCE")
      days = var.evidence_replica.object_lock.days
    }
  }
}

variable "iam" {
  description = "Path and permissions boundary of the role, as { path, permissions_boundary }. The path must be the same as in the security account and the member accounts."
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

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
