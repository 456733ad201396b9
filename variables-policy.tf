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

variable "playbooks" {
  description = <<-EOT
    Says how each playbook responds.

    Options of ec2_instance:
    - quarantine_security_group_ids maps a VPC id to your own security group without rules. In other VPCs, the
      playbook creates one.
    - untrack_connections puts an interface into an all-open group for a moment, so that tracked connections end. It
      needs the same switch in modules/responder-role.
    - disassociate_elastic_ip removes Elastic IP addresses.
    - auto_scaling is none, detach or standby.
    - deregister_targets, protect_instance and replace_instance_profile switch single actions of containment on or
      off.
    - revoke_sessions is none, instance or role.
    - snapshot takes a set of snapshots. capture_console and copy_logs keep the console output, VPC flow logs and
      CloudTrail records as evidence.
    - replacement_wait_minutes is how long the playbook waits for a healthy replacement in the Auto Scaling group.
    - finish is none, stop or terminate, once the snapshots are complete and readable. terminate cannot be undone.
      With evidence.forensics_account, it also needs complete copies. It has a function of its own and needs the
      same switch in modules/responder-role.
    - terminate_keeps_volumes = false lets the volumes be deleted with the instance.
    - restore creates the function with which a person undoes a containment or closes an incident. It needs the same
      switch in modules/responder-role.
    - reattach_auto_scaling lets restoring put the instance back into its Auto Scaling group.

    Options of iam_principal:
    - console_password is remove, reset or keep.
    - deactivate_mfa is for MFA devices that were added since the time range of the finding. other_credentials is
      for SSH keys, service-specific credentials and certificates.
    - revoke_sessions is session or role. For stolen credentials of a service, it is always role.
    - user_role_sessions denies the role sessions that a user holds.
    - list_actions lists what the principal did, from lookup_hours before the finding, in lookup_regions (empty: all
      enabled Regions), and again after repeat_minutes. trail_query reads an Athena table or CloudTrail Lake instead
      of LookupEvents.
    - remediate names the kinds of changes that eradication undoes in reversible forms.
    - rotate_key creates a new access key that reader_arns may read, in Secrets Manager of the user's account. The
      secret is in the Region of kms_key_id if that is an ARN, otherwise in the aggregation Region; an id or alias
      must then exist in that account and Region. Readers of another account need kms_key_id: a customer managed key
      whose policy allows them and the user's account, because nobody outside the account can use what
      aws/secretsmanager encrypts. Their ARNs must not contain * or ?.
    - remediate and rotate_key have a function of their own and need the same switches in modules/responder-role.
    - restore is the same as for ec2_instance.
    - identity_center names the account that administers IAM Identity Center: the management account or a delegated
      administrator, with identity_center = true in its modules/responder-role. A person who signed in through
      Identity Center is denied everything in every permission set they hold. With null, such findings end as FAILED
      with the commands for a person.
  EOT
  type = object({
    ec2_instance = optional(object({
      quarantine_security_group_ids = optional(map(string), {})
      untrack_connections           = optional(bool, false)
      disassociate_elastic_ip       = optional(bool, false)
      auto_scaling                  = optional(string, "detach")
      deregister_targets            = optional(bool, true)
      protect_instance              = optional(bool, true)
      replace_instance_profile      = optional(bool, true)
      revoke_sessions               = optional(string, "instance")
      snapshot                      = optional(bool, true)
      capture_console               = optional(bool, true)
      copy_logs                     = optional(bool, true)
      replacement_wait_minutes      = optional(number, 10)
      finish                        = optional(string, "none")
      terminate_keeps_volumes       = optional(bool, true)
      restore                       = optional(bool, false)
      reattach_auto_scaling         = optional(bool, false)
    }), {})
    iam_principal = optional(object({
      console_password   = optional(string, "remove")
      deactivate_mfa     = optional(bool, true)
      other_credentials  = optional(bool, true)
      revoke_sessions    = optional(string, "session")
      user_role_sessions = optional(bool, true)
      list_actions       = optional(bool, true)
      lookup_hours       = optional(number, 24)
      lookup_regions     = optional(set(string), [])
      repeat_minutes     = optional(number, 20)
      trail_query = optional(object({
        athena = optional(object({ workgroup = string, database = string, table = string, bucket_arns = list(string) }))
        lake   = optional(object({ event_data_store_arn = string }))
      }))
      remediate = optional(set(string), [])
      rotate_key = optional(object({
        reader_arns = set(string)
        kms_key_id  = optional(string)
      }))
      restore = optional(bool, false)
      identity_center = optional(object({
        account_id        = string
        region            = string
        instance_arn      = string
        identity_store_id = string
      }))
    }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["none", "detach", "standby"], var.playbooks.ec2_instance.auto_scaling)
    error_message = "playbooks.ec2_instance.auto_scaling must be none, detach (the group launches a replacement) or standby."
  }
  validation {
    condition     = contains(["none", "instance", "role"], var.playbooks.ec2_instance.revoke_sessions)
    error_message = "playbooks.ec2_instance.revoke_sessions must be none, instance (the sessions of this instance) or role (every session of its role)."
  }
  validation {
    condition     = contains(["none", "stop", "terminate"], var.playbooks.ec2_instance.finish)
    error_message = "playbooks.ec2_instance.finish must be none, stop or terminate."
  }
  validation {
    condition     = var.playbooks.ec2_instance.finish != "terminate" || var.playbooks.ec2_instance.snapshot
    error_message = "playbooks.ec2_instance.finish = \"terminate\" needs snapshot = true: what is destroyed must be kept first."
  }
  validation {
    condition     = var.playbooks.ec2_instance.replacement_wait_minutes >= 0 && var.playbooks.ec2_instance.replacement_wait_minutes <= 120
    error_message = "playbooks.ec2_instance.replacement_wait_minutes must be a number from 0 to 120."
  }
  validation {
    condition     = var.playbooks.ec2_instance.restore || !var.playbooks.ec2_instance.reattach_auto_scaling
    error_message = "playbooks.ec2_instance.reattach_auto_scaling is a part of restoring: set playbooks.ec2_instance.restore = true with it."
  }
  validation {
    condition     = alltrue([for vpc, group in var.playbooks.ec2_instance.quarantine_security_group_ids : can(regex("^vpc-[0-9a-f]{8,17}$", vpc)) && can(regex("^sg-[0-9a-f]{8,17}$", group))])
    error_message = "playbooks.ec2_instance.quarantine_security_group_ids must map VPC ids (vpc-…) to security group ids (sg-…)."
  }
  validation {
    condition     = contains(["remove", "reset", "keep"], var.playbooks.iam_principal.console_password)
    error_message = "playbooks.iam_principal.console_password must be remove, reset (to a random one that must be changed) or keep."
  }
  validation {
    condition     = contains(["session", "role"], var.playbooks.iam_principal.revoke_sessions)
    error_message = "playbooks.iam_principal.revoke_sessions must be session (the one that a finding names) or role (every session of its role)."
  }
  validation {
    condition     = var.playbooks.iam_principal.lookup_hours > 0 && var.playbooks.iam_principal.lookup_hours <= 2160
    error_message = "playbooks.iam_principal.lookup_hours must be a number above 0, at most 2160 (CloudTrail keeps 90 days for LookupEvents)."
  }
  validation {
    condition     = var.playbooks.iam_principal.repeat_minutes >= 0 && var.playbooks.iam_principal.repeat_minutes <= 120
    error_message = "playbooks.iam_principal.repeat_minutes must be a number from 0 (no second look at CloudTrail) to 120."
  }
  validation {
    condition     = alltrue([for region in var.playbooks.iam_principal.lookup_regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", region))])
    error_message = "playbooks.iam_principal.lookup_regions must be Region names such as eu-central-1; left empty, every enabled Region is asked."
  }
  validation {
    condition     = try(var.playbooks.iam_principal.trail_query, null) == null ? true : (try(var.playbooks.iam_principal.trail_query.athena, null) == null) != (try(var.playbooks.iam_principal.trail_query.lake, null) == null)
    error_message = "playbooks.iam_principal.trail_query must have either athena (workgroup, database, table, bucket_arns) or lake (event_data_store_arn)."
  }
  validation {
    condition     = alltrue([for kind in var.playbooks.iam_principal.remediate : contains(["access_keys", "users", "login_profiles", "roles", "policies", "trust", "instances", "security_groups", "buckets", "trails", "detectors", "functions", "sharing"], kind)])
    error_message = "playbooks.iam_principal.remediate must be kinds of: access_keys, users, login_profiles, roles, policies, trust, instances, security_groups, buckets, trails, detectors, functions, sharing."
  }
  validation {
    condition     = length(var.playbooks.iam_principal.remediate) == 0 || var.playbooks.iam_principal.list_actions
    error_message = "playbooks.iam_principal.remediate undoes what the list shows: it needs list_actions = true."
  }
  validation {
    condition     = var.playbooks.iam_principal.rotate_key == null ? true : length(var.playbooks.iam_principal.rotate_key.reader_arns) > 0 && alltrue([for arn in var.playbooks.iam_principal.rotate_key.reader_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "playbooks.iam_principal.rotate_key needs reader_arns: the ARNs of the roles or users that may read the new key."
  }
  validation {
    # One account may be the user's own; of two, one is another.
    condition = (
      try(var.playbooks.iam_principal.rotate_key.kms_key_id, null) != null ||
      length(distinct([for arn in try(var.playbooks.iam_principal.rotate_key.reader_arns, []) : try(split(":", arn)[4], "")])) < 2
    )
    error_message = "playbooks.iam_principal.rotate_key.reader_arns are of several accounts (${join(", ", distinct([for arn in try(var.playbooks.iam_principal.rotate_key.reader_arns, []) : try(split(":", arn)[4], "")]))}), so some could never read the key: what aws/secretsmanager encrypts is its own account's alone. Set rotate_key.kms_key_id to the ARN of a customer managed key that these accounts may use, or name readers of one account."
  }
  validation {
    condition     = !endswith(try(coalesce(var.playbooks.iam_principal.rotate_key.kms_key_id, "-"), "-"), "alias/aws/secretsmanager")
    error_message = "playbooks.iam_principal.rotate_key.kms_key_id must be a customer managed key: leave it out for aws/secretsmanager."
  }
  validation {
    condition     = can(regex("^[0-9]{12}$", try(var.playbooks.iam_principal.identity_center.account_id, "000000000000")))
    error_message = "playbooks.iam_principal.identity_center.account_id must be the 12-digit id of the account that administers IAM Identity Center: the management account or its delegated administrator."
  }
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", try(var.playbooks.iam_principal.identity_center.region, "us-east-1")))
    error_message = "playbooks.iam_principal.identity_center.region must be the Region that IAM Identity Center is enabled in, such as eu-central-1."
  }
  validation {
    condition     = can(regex("^arn:aws(-[a-z]{1,5}){0,3}:sso:::instance/(sso)?ins-[a-zA-Z0-9-.]{16}$", try(var.playbooks.iam_principal.identity_center.instance_arn, "arn:aws:sso:::instance/ssoins-0123456789abcdef")))
    error_message = "playbooks.iam_principal.identity_center.instance_arn must be an instance's ARN such as arn:aws:sso:::instance/ssoins-0123456789abcdef (aws sso-admin list-instances)."
  }
  validation {
    condition     = can(regex("^(d-[0-9a-f]{10}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$", try(var.playbooks.iam_principal.identity_center.identity_store_id, "d-0123456789")))
    error_message = "playbooks.iam_principal.identity_center.identity_store_id must be an identity store's id such as d-0123456789 (aws sso-admin list-instances)."
  }
}

variable "forensics" {
  description = <<-EOT
    Collects data from a running instance over SSM.
    - when is off, before or after. With before, containment waits at most deadline_seconds, or what deadlines says
      for a finding type or pattern. after needs, for every VPC of the instance, a group in
      playbooks.ec2_instance.quarantine_security_group_ids that allows only SSM and S3 endpoints, and forensics =
      true in modules/responder-role.
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
    condition     = var.forensics.when != "after" || length(var.playbooks.ec2_instance.quarantine_security_group_ids) > 0
    error_message = "forensics.when = \"after\" needs playbooks.ec2_instance.quarantine_security_group_ids: groups that let a quarantined instance out to SSM and S3 endpoints alone (HTTPS to security groups or prefix lists)."
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
    every interval that is not named. At most checks_in_flight functions verify at the same time, each up to 50
    resources; reserved_concurrency keeps that much of the account's concurrency for each of them, and limits it.
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
    error_message = "watch.checks_in_flight must be a whole number from 1 to 100: so many functions verify at the same time."
  }
  validation {
    condition     = var.watch.reserved_concurrency == null ? true : var.watch.reserved_concurrency >= var.watch.checks_in_flight && floor(var.watch.reserved_concurrency) == var.watch.reserved_concurrency
    error_message = "watch.reserved_concurrency must be a whole number not below watch.checks_in_flight (2 unless set), so that no check is throttled, or null: then nothing is reserved."
  }
}
