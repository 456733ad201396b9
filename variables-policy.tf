# The switches: which finding is answered, and how.

variable "remediations" {
  description = <<-EOT
    Maps a finding type, or a pattern with *, to a mode: off, notify, dry_run, approve or auto. A finding type without
    a key has the mode notify.
    The plan checks the keys against the catalogue: a key that matches no known finding type fails.
  EOT
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "account_remediations" {
  description = <<-EOT
    Maps an account id to a map like remediations, for that account only. Precedence: exact key of the account,
    pattern of the account, exact key for all, pattern for all.
  EOT
  type        = map(map(string))
  default     = {}
  nullable    = false
}

variable "remediation_config_file" {
  description = "Path of a YAML file with remediations and account_remediations. The variables of the same names win over the file, key by key."
  type        = string
  default     = null

  validation {
    condition     = var.remediation_config_file == null ? true : fileexists(var.remediation_config_file)
    error_message = "remediation_config_file must be the path of a file that exists, for example \"$${path.root}/remediations.yaml\", or null."
  }
  validation {
    condition     = var.remediation_config_file == null ? true : !fileexists(var.remediation_config_file) || can(keys(yamldecode(file(var.remediation_config_file))))
    error_message = "remediation_config_file must be a YAML document with the keys remediations and account_remediations."
  }
}

variable "extra_finding_types" {
  description = <<-EOT
    Finding types that GuardDuty has and the catalogue does not have yet. They get the playbook of the catalogue's
    types with the same resource word (EC2, Runtime, …).
  EOT
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for t in var.extra_finding_types : can(regex("^[A-Za-z0-9]+:[A-Za-z0-9]+/[A-Za-z0-9.&!_-]+$", t))])
    error_message = "extra_finding_types must be exact finding types such as \"Backdoor:EC2/NewThing.B!DNS\", without *."
  }
}

variable "minimum_severity" {
  description = "Maps a mode to the lowest severity (0 to 10) for which it is used. Below that, the next milder mode is used. Example: { auto = 7, approve = 4 }."
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for mode, severity in var.minimum_severity : contains(["auto", "approve", "dry_run", "notify"], mode)])
    error_message = "minimum_severity must have the keys auto, approve, dry_run or notify only (off is what is below notify)."
  }
  validation {
    condition     = alltrue([for mode, severity in var.minimum_severity : severity >= 0 && severity <= 10])
    error_message = "minimum_severity must be numbers from 0 to 10 (GuardDuty: Low from 1, Medium from 4, High from 7, Critical from 9)."
  }
}

variable "forensics" {
  description = <<-EOT
    Collects data from a running instance over SSM, for example { when = "before", deadline_seconds = 60 }.
    docs/settings.md lists the keys. when = "after" needs, for every VPC of the instance, a group in
    ec2_instance.quarantine_security_group_ids that allows only SSM and S3 endpoints. It adds a role for quarantined
    instances to for_member_accounts.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = try(var.forensics.when, "off") != "after" || try(length(var.ec2_instance.quarantine_security_group_ids) > 0, false)
    error_message = "forensics.when = \"after\" needs ec2_instance.quarantine_security_group_ids: groups that let a quarantined instance out to SSM and S3 endpoints alone (HTTPS to security groups or prefix lists)."
  }
}

variable "watch" {
  description = <<-EOT
    Monitors a contained resource until a person closes the incident. Containment is verified every first_day_minutes
    (15) on the first day, every first_week_minutes (60) in the first week, every later_minutes (360) after that and,
    with cloudtrail, at once when an API call that can undo it reaches this account's default event bus.
    docs/settings.md lists the keys.
    If containment is lost, the status is BREACHED. In mode auto, the resource is contained again; otherwise the loss
    is escalated.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition = (
      try(coalesce(var.watch.first_day_minutes), coalesce(var.watch.minutes), 15) <= try(coalesce(var.watch.first_week_minutes), coalesce(var.watch.minutes), 60)
      && try(coalesce(var.watch.first_week_minutes), coalesce(var.watch.minutes), 60) <= try(coalesce(var.watch.later_minutes), coalesce(var.watch.minutes), 360)
    )
    error_message = "Checks become rarer with time: watch.first_day_minutes must not be above first_week_minutes (60 unless set), and that not above later_minutes (360 unless set). Set the later ones too, or minutes for all three."
  }
  validation {
    condition     = try(var.watch.reserved_concurrency >= 2 * try(coalesce(var.watch.checks_in_flight), 2), true)
    error_message = "watch.reserved_concurrency must be a whole number not below twice watch.checks_in_flight (2 unless set), or null: then nothing is reserved. So many functions may verify at a time what is due, and as many again what an API call names; Lambda throttles what is above, and drops it."
  }
}
