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
    Collects data from a running instance over SSM.
    - when is off, before or after. With before, containment waits at most deadline_seconds, or what deadlines says
      for a finding type or pattern. after needs, for every VPC of the instance, a group in
      ec2_instance.quarantine_security_group_ids that allows only SSM and S3 endpoints. It adds a role for
      quarantined instances to for_member_accounts.
    - timeout_minutes is when a collection ends.
    - memory names a tool (AVML, WinPmem) for each platform, at an https:// address or under tools/ in the evidence
      bucket (s3://bucket/tools/key), with its SHA-256. With null, no memory is taken.
    - commands are your own commands for each platform, one in each line.
    - account_ids are the member accounts that the document is shared with.
  EOT
  type = object({
    when                   = optional(string, "off")
    deadline_seconds       = optional(number, 60)
    deadlines              = optional(map(number), {})
    timeout_minutes        = optional(number, 30)
    packet_capture_seconds = optional(number, 20)
    memory = optional(object({
      linux   = optional(object({ location = string, sha256 = string }))
      windows = optional(object({ location = string, sha256 = string }))
    }), {})
    commands = optional(object({
      linux   = optional(list(string), [])
      windows = optional(list(string), [])
    }), {})
    account_ids = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["off", "before", "after"], var.forensics.when)
    error_message = "forensics.when must be off, before (containment waits, at most for the deadline) or after."
  }
  validation {
    condition     = var.forensics.when != "after" || try(length(var.ec2_instance.quarantine_security_group_ids) > 0, false)
    error_message = "forensics.when = \"after\" needs ec2_instance.quarantine_security_group_ids: groups that let a quarantined instance out to SSM and S3 endpoints alone (HTTPS to security groups or prefix lists)."
  }
  validation {
    condition     = alltrue([for seconds in concat([var.forensics.deadline_seconds], values(var.forensics.deadlines)) : (seconds == 0 || seconds >= 5) && seconds <= 900 && floor(seconds) == seconds])
    error_message = "forensics.deadline_seconds and deadlines must be whole numbers from 5 to 900, or 0: containment waits that long at most, and with 0 not at all (and nothing is collected of such a finding's instance)."
  }
  validation {
    condition     = var.forensics.timeout_minutes >= 1 && var.forensics.timeout_minutes <= 240 && floor(var.forensics.timeout_minutes) == var.forensics.timeout_minutes
    error_message = "forensics.timeout_minutes must be a whole number from 1 to 240."
  }
  validation {
    condition     = var.forensics.packet_capture_seconds >= 0 && var.forensics.packet_capture_seconds <= 300 && floor(var.forensics.packet_capture_seconds) == var.forensics.packet_capture_seconds
    error_message = "forensics.packet_capture_seconds must be a whole number from 0 (none) to 300."
  }
  validation {
    condition = alltrue([
      for tool in [var.forensics.memory.linux, var.forensics.memory.windows] :
      tool == null ? true : can(regex("^(https://[A-Za-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9._~/%+-]+|s3://[a-z0-9.-]{3,63}/tools/[A-Za-z0-9._/-]+)$", tool.location)) && can(regex("^[0-9a-f]{64}$", tool.sha256))
    ])
    error_message = "forensics.memory tools need a location (https://… or s3://<evidence bucket>/tools/…, no query) and a sha256 of 64 lower-case hexadecimal digits."
  }
  validation {
    condition     = alltrue([for a in var.forensics.account_ids : can(regex("^[0-9]{12}$", a))])
    error_message = "forensics.account_ids must be 12-digit account ids."
  }
}

variable "watch" {
  description = <<-EOT
    Monitors a contained resource until a person closes the incident. Containment is verified every first_day_minutes
    (15) on the first day, every first_week_minutes (60) in the first week, every later_minutes (360) after that and,
    with cloudtrail, at once when an API call that can undo it reaches this account's default event bus. minutes sets
    every interval that is not named. At most checks_in_flight functions verify at the same time what is due, and as
    many again what an API call names, each up to 50 resources. reserved_concurrency keeps that much of the account's
    concurrency for the function of each playbook, and limits it: at least twice checks_in_flight.
    If containment is lost, the status is BREACHED. In mode auto, the resource is contained again; otherwise the loss
    is escalated.
  EOT
  type = object({
    minutes              = optional(number)
    first_day_minutes    = optional(number)
    first_week_minutes   = optional(number)
    later_minutes        = optional(number)
    checks_in_flight     = optional(number, 2)
    reserved_concurrency = optional(number)
    cloudtrail           = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for minutes in [var.watch.minutes, var.watch.first_day_minutes, var.watch.first_week_minutes, var.watch.later_minutes] :
      minutes == null ? true : minutes >= 1 && minutes <= 1440 && floor(minutes) == minutes
    ])
    error_message = "watch.minutes, first_day_minutes, first_week_minutes and later_minutes must be whole numbers from 1 to 1440 (a day), or left out."
  }
  validation {
    condition = (
      coalesce(var.watch.first_day_minutes, var.watch.minutes, 15) <= coalesce(var.watch.first_week_minutes, var.watch.minutes, 60)
      && coalesce(var.watch.first_week_minutes, var.watch.minutes, 60) <= coalesce(var.watch.later_minutes, var.watch.minutes, 360)
    )
    error_message = "Checks become rarer with time: watch.first_day_minutes must not be above first_week_minutes (60 unless set), and that not above later_minutes (360 unless set). Set the later ones too, or minutes for all three."
  }
  validation {
    condition     = var.watch.checks_in_flight >= 1 && var.watch.checks_in_flight <= 100 && floor(var.watch.checks_in_flight) == var.watch.checks_in_flight
    error_message = "watch.checks_in_flight must be a whole number from 1 to 100: so many functions verify at the same time what is due."
  }
  validation {
    condition     = var.watch.reserved_concurrency == null ? true : var.watch.reserved_concurrency >= 2 * var.watch.checks_in_flight && floor(var.watch.reserved_concurrency) == var.watch.reserved_concurrency
    error_message = "watch.reserved_concurrency must be a whole number not below twice watch.checks_in_flight (2 unless set), or null: then nothing is reserved. So many functions may verify at a time what is due, and as many again what an API call names; Lambda throttles what is above, and drops it."
  }
}
