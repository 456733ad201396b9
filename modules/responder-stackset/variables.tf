variable "name" {
  description = "Name of the StackSet of the roles, <name_prefix>-member-roles by default; that of the forwarders is <name>-forwarders. If you have several calls, give each its own name."
  type        = string
  default     = null

  validation {
    condition     = var.name == null || can(regex("^[A-Za-z][A-Za-z0-9-]{0,116}$", var.name))
    error_message = "name must be 1 to 117 letters, digits and hyphens, starting with a letter, or null."
  }
}

variable "organizational_units" {
  description = <<-EOT
    Maps a name of your choice to an OU (ou-…) or root (r-…) whose accounts get the roles, including accounts of child
    OUs. Do not name an OU together with its parent. Adding or removing an entry does not affect the others. StackSets
    never reach the management account; call modules/responder-role there.
  EOT
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.organizational_units) > 0 && alltrue([for id in values(var.organizational_units) : can(regex("^(ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32})$", id))])
    error_message = "organizational_units must map at least one name to an OU (ou-ab12-cdef3456) or the organization's root (r-ab12)."
  }
  validation {
    condition     = length(distinct(values(var.organizational_units))) == length(var.organizational_units)
    error_message = "organizational_units must not name one OU twice."
  }
  validation {
    condition     = length(var.organizational_units) < 2 || !anytrue([for id in values(var.organizational_units) : startswith(id, "r-")])
    error_message = "organizational_units must not name the root beside an OU: the root holds every account already."
  }
}

variable "accounts" {
  description = <<-EOT
    Selects accounts of those OUs: filter NONE (all), INTERSECTION (only ids) or DIFFERENCE (all except ids).
    Automatic deployment has no filter: an account that joins an OU later gets the roles, whatever ids says. A change
    removes the roles from every account and gives them back minutes later.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(try(keys(var.accounts), ["no object"]), ["filter", "ids"])) == 0
    error_message = "accounts must be an object with filter and ids; it has ${join(", ", setsubtract(try(keys(var.accounts), ["no keys"]), ["filter", "ids"]))}."
  }
  validation {
    condition     = can(toset(try(coalesce(var.accounts.ids), [])))
    error_message = "accounts.ids must be a list of account ids, for example [\"111122223333\"]."
  }
  validation {
    condition     = contains(["NONE", "INTERSECTION", "DIFFERENCE"], try(coalesce(var.accounts.filter), "NONE"))
    error_message = "accounts.filter must be NONE, INTERSECTION or DIFFERENCE. (CloudFormation takes UNION for updates only; name the OU of the other account instead.)"
  }
  validation {
    condition     = (try(coalesce(var.accounts.filter), "NONE") == "NONE") == (try(length(var.accounts.ids), 0) == 0)
    error_message = "accounts.ids must be given with accounts.filter INTERSECTION or DIFFERENCE, and be left out with NONE."
  }
  validation {
    condition     = alltrue([for id in try(toset(var.accounts.ids), []) : can(regex("^[0-9]{12}$", id))])
    error_message = "accounts.ids must be 12-digit account ids: ${join(", ", [for id in try(toset(var.accounts.ids), []) : id if !can(regex("^[0-9]{12}$", id))])} is not."
  }
}

variable "forwarder_regions" {
  description = <<-EOT
    Regions whose calls are forwarded to the security account: each in which a member account has resources, also the
    aggregation Region, and the Region that records IAM's calls (us-east-1; us-gov-west-1, cn-north-1). Each must be
    enabled in every account. [] rolls out no forwarders.
  EOT
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.forwarder_regions) == 0 || var.for_member_accounts.forwarder != null
    error_message = "forwarder_regions must be [] while for_member_accounts.forwarder is null: the security account's event bus takes nothing from member accounts. In the root module, set event_forwarding = { from_organization = true }; watch.cloudtrail must be on."
  }
  validation {
    condition     = alltrue([for region in var.forwarder_regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", region))])
    error_message = "forwarder_regions must be Regions such as eu-central-1."
  }
}

variable "alarm_topic_names" {
  description = <<-EOT
    Names of SNS topics that each member account has in each of these Regions: they are notified when a call could not
    be forwarded within a day. Without one, the alarm only shows it.
  EOT
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.alarm_topic_names : can(regex("^[A-Za-z0-9_-]{1,256}$", name))])
    error_message = "alarm_topic_names must be names of standard SNS topics, not ARNs: the topics are in each account and Region."
  }
}

variable "template_bucket" {
  description = <<-EOT
    Name of an S3 bucket in this account into which the template of the roles is put. By default a template of up to
    51,200 bytes goes with the call, and a longer one into a private bucket that is created here. Whoever applies must
    be able to read the object.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.template_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.template_bucket))
    error_message = "template_bucket must be the name of an S3 bucket, or null."
  }
}

variable "auto_deployment" {
  description = <<-EOT
    With enabled, an account that joins one of the OUs gets the roles automatically, and an account that leaves them
    loses its stack.
    retain_on_account_removal = false (the default) deletes the roles of an account that leaves. The response can then
    no longer contain, verify or undo anything there, which is right for an account that is handed over, and wrong for
    one that is only moved. With true, the roles stay, and nothing updates or removes them any more.
    Choose before the first apply: a change of either replaces the StackSet, and every account is without its roles
    for minutes.
  EOT
  type        = map(bool)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.auto_deployment), ["enabled", "retain_on_account_removal"])) == 0
    error_message = "auto_deployment has no ${join(", ", setsubtract(keys(var.auto_deployment), ["enabled", "retain_on_account_removal"]))}: its keys are enabled and retain_on_account_removal."
  }
  validation {
    condition     = try(coalesce(var.auto_deployment.enabled), true) || !try(coalesce(var.auto_deployment.retain_on_account_removal), false)
    error_message = "auto_deployment.retain_on_account_removal is only taken with auto_deployment.enabled = true: nothing is removed by itself without it."
  }
  validation {
    condition     = !(try(coalesce(var.auto_deployment.enabled), true) && try(coalesce(var.accounts.filter), "NONE") == "INTERSECTION")
    error_message = "auto_deployment.enabled must be false with accounts.filter INTERSECTION: automatic deployment knows no filter, and would put the roles into every account that joins the OUs."
  }
  validation {
    condition     = var.identity_center ? !try(coalesce(var.auto_deployment.enabled), true) && try(coalesce(var.accounts.filter), "NONE") == "INTERSECTION" && try(length(toset(var.accounts.ids)), 0) == 1 : true
    error_message = "identity_center is for one account: give accounts = { filter = \"INTERSECTION\", ids = [\"<that account>\"] } and auto_deployment = { enabled = false }, and roll the other accounts out with a second call that leaves it out (filter DIFFERENCE). For the management account call modules/responder-role."
  }
}

variable "retain_stacks" {
  description = <<-EOT
    Keeps the stacks, and so the roles, in the accounts when the StackSet is destroyed or its targets change. It must
    be applied before the destroy to have an effect.
  EOT
  type        = bool
  default     = false
  nullable    = false
}

variable "call_as" {
  description = <<-EOT
    SELF in the management account, DELEGATED_ADMIN in an account that is registered as delegated administrator of
    member.org.stacksets.cloudformation.amazonaws.com.
  EOT
  type        = string
  default     = "SELF"
  nullable    = false

  validation {
    condition     = contains(["SELF", "DELEGATED_ADMIN"], var.call_as)
    error_message = "call_as must be SELF (from the management account) or DELEGATED_ADMIN (from a delegated administrator of StackSets)."
  }
}

variable "operation_preferences" {
  description = <<-EOT
    How a deployment proceeds: in how many percent of the accounts at a time, and how many percent may fail before it
    stops. With the defaults, every account that can be reached is reached, because one account that refuses (a role
    with that name, a service control policy) must not leave the others without roles.
    The apply succeeds then. The StackSet shows which accounts failed (aws cloudformation list-stack-instances, status
    OUTDATED). If you change only this setting, it applies from the next change of the roles on.
  EOT
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.operation_preferences), ["failure_tolerance_percentage", "max_concurrent_percentage"])) == 0
    error_message = "operation_preferences has no ${join(", ", setsubtract(keys(var.operation_preferences), ["failure_tolerance_percentage", "max_concurrent_percentage"]))}: its keys are failure_tolerance_percentage and max_concurrent_percentage."
  }
  validation {
    condition = alltrue([
      for name, value in var.operation_preferences : value == null ? true : floor(value) == value && value >= (name == "max_concurrent_percentage" ? 1 : 0) && value <= 100
    ])
    error_message = "operation_preferences.failure_tolerance_percentage must be a whole number from 0 to 100, max_concurrent_percentage one from 1 to 100."
  }
}

variable "tags" {
  description = "Tags of the StackSets, their stacks and what is in them. (CloudFormation has no tags for instance profiles.)"
  type        = map(string)
  default     = {}
  nullable    = false
}

locals {
  # With their defaults
  accounts = {
    filter = try(coalesce(var.accounts.filter), "NONE")
    ids    = try(toset(coalesce(var.accounts.ids)), toset([]))
  }
  auto_deployment       = { for name, default in { enabled = true, retain_on_account_removal = false } : name => try(coalesce(var.auto_deployment[name]), default) }
  operation_preferences = { for name in ["failure_tolerance_percentage", "max_concurrent_percentage"] : name => try(coalesce(var.operation_preferences[name]), 100) }
}
