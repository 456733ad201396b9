# The switches: which finding is answered how, within which limits.

variable "remediations" {
  description = "Finding type, or glob with *, => off, notify, dry_run, approve or auto. Types without a key: notify. Checked against the catalogue at plan time: a key that matches no known finding type fails."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "account_remediations" {
  description = "Account id => the same map, for that account only. Precedence: account exact, account glob, global exact, global glob."
  type        = map(map(string))
  default     = {}
  nullable    = false
}

variable "remediation_config_file" {
  description = "Path of a YAML file with remediations and account_remediations. The variables of the same names win, key by key."
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
  description = "Finding types that GuardDuty has and the catalogue does not have yet. Their playbook is that of the catalogue's types of the same resource word (EC2, Runtime, …)."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for t in var.extra_finding_types : can(regex("^[A-Za-z0-9]+:[A-Za-z0-9]+/[A-Za-z0-9.&!_-]+$", t))])
    error_message = "extra_finding_types must be exact finding types such as \"Backdoor:EC2/NewThing.B!DNS\", without *."
  }
}

variable "minimum_severity" {
  description = "Mode => the lowest severity (0 to 10) it is used for; below it, the next milder mode. Example: { auto = 7, approve = 4 }."
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
  description = "How each playbook acts. ec2_instance: quarantine_security_group_ids maps a VPC id to a group of yours without rules (other VPCs get one from the playbook); untrack_connections passes through an all-open group to end live flows (needs the same switch in modules/responder-role); auto_scaling none, detach or standby; revoke_sessions none, instance or role; capture_console and copy_logs keep the console, VPC flow logs and CloudTrail records as evidence; replacement_wait_minutes is how long a healthy replacement in the Auto Scaling group is waited for; finish none, stop or terminate, once the snapshots are complete and readable (terminate cannot be undone; with evidence.forensics_account it needs the copies complete, too; it makes a function of its own and needs the same switch in modules/responder-role; the volumes stay unless terminate_keeps_volumes is false). restore makes the function with which a person undoes a containment or closes an incident (needs the same switch in modules/responder-role); reattach_auto_scaling lets it put the instance back into its Auto Scaling group. iam_principal: console_password remove, reset or keep; deactivate_mfa for devices added since the finding's window, other_credentials for SSH keys, service-specific credentials and certificates; revoke_sessions session or role (stolen credentials: always role); user_role_sessions denies the sessions a user holds in roles; list_actions lists what the principal did, lookup_hours back, in lookup_regions (empty: all enabled), again after repeat_minutes, by trail_query instead of LookupEvents where configured; remediate names the kinds of its actions that are undone in reversible forms, and rotate_key makes a new key for reader_arns to read, in Secrets Manager of the user's account: in the Region of kms_key_id where that is an ARN, else in the response's home Region (an id or alias is then one of that account and Region); readers of another account need kms_key_id, a customer managed key whose policy lets them and the user's account use it, for what aws/secretsmanager encrypts leaves its account for nobody, and must be named without * or ? (both make a function of their own and need the same switches in modules/responder-role); identity_center names the account that administers IAM Identity Center (management account or delegated administrator; identity_center = true in its modules/responder-role), where a person who signed in is denied everything in every permission set held; null: such findings end FAILED with the commands for a person."
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
  description = "What is collected from a live instance over SSM. when: off; before (containment waits, at most deadline_seconds, or what deadlines says for a finding type or glob); after (only where playbooks.ec2_instance.quarantine_security_group_ids brings, for every VPC of the instance, a group that lets it out to SSM and S3 endpoints alone; needs forensics = true in modules/responder-role). timeout_minutes: when a collection is given up. memory: a tool (AVML, WinPmem) per platform, at an https:// address or under tools/ in the evidence bucket (s3://bucket/tools/key), with its SHA-256; null takes no memory. commands: your own, per platform, one a line. account_ids: members the document is shared with."
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
  description = "Until a person closes the incident, containment is read back every so many minutes and, with cloudtrail, at once when an API call that can undo it reaches this account's default event bus. What is undone is BREACHED: contained again in mode auto, told and escalated otherwise."
  type = object({
    minutes    = optional(number, 15)
    cloudtrail = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.watch.minutes >= 1 && var.watch.minutes <= 1440 && floor(var.watch.minutes) == var.watch.minutes
    error_message = "watch.minutes must be a whole number from 1 to 1440 (a day)."
  }
}

variable "guardrails" {
  description = "Limits on acting. Exemptions: no action whatever the mode; exempt_resources are ids or ARNs, exempt_principals are ARNs, both with *. approval_tag: a resource with this tag is asked about, never acted on by itself. freeze_windows: RFC 3339 times between which a person is asked. circuit_breaker: more targets than this in so many minutes, and a person is asked. management_account_id: nothing acts there, whatever the switches say, and people are told; account_remediations may set it to notify or off, no more."
  type = object({
    exempt_accounts          = optional(list(string), [])
    exempt_resources         = optional(list(string), [])
    exempt_principals        = optional(list(string), [])
    approval_tag             = optional(object({ key = optional(string, "guardduty-response"), value = optional(string, "ask") }), {})
    freeze_windows           = optional(list(object({ name = string, start = string, end = string })), [])
    circuit_breaker          = optional(object({ targets = optional(number, 10), minutes = optional(number, 60) }), {})
    management_account_id    = optional(string)
    approval_timeout_minutes = optional(number, 60)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for a in var.guardrails.exempt_accounts : can(regex("^[0-9]{12}$", a))])
    error_message = "guardrails.exempt_accounts must be 12-digit account ids."
  }
  validation {
    condition     = var.guardrails.management_account_id == null || can(regex("^[0-9]{12}$", var.guardrails.management_account_id))
    error_message = "guardrails.management_account_id must be a 12-digit account id, or null."
  }
  validation {
    condition     = alltrue([for r in concat(var.guardrails.exempt_resources, var.guardrails.exempt_principals) : length(replace(r, "*", "")) > 0])
    error_message = "guardrails.exempt_resources and exempt_principals must be ids or ARNs, or globs with more than * in them: to stop every action set paused = true."
  }
  validation {
    condition     = alltrue([for p in var.guardrails.exempt_principals : startswith(p, "arn:")])
    error_message = "guardrails.exempt_principals must be ARNs (arn:aws:iam::111122223333:role/break-glass), with * where needed."
  }
  validation {
    condition     = length(var.guardrails.approval_tag.key) >= 1 && length(var.guardrails.approval_tag.key) <= 128 && length(var.guardrails.approval_tag.value) <= 256
    error_message = "guardrails.approval_tag must have a key of 1 to 128 characters and a value of at most 256."
  }
  validation {
    condition     = alltrue([for w in var.guardrails.freeze_windows : length(w.name) > 0 && can(timecmp(w.start, w.end)) ? timecmp(w.start, w.end) < 0 : false])
    error_message = "guardrails.freeze_windows must have a name, and a start before its end, both as RFC 3339 times such as 2026-11-30T00:00:00Z."
  }
  validation {
    condition = alltrue([
      for n in [var.guardrails.circuit_breaker.targets, var.guardrails.circuit_breaker.minutes] : n >= 1 && floor(n) == n
    ]) && var.guardrails.circuit_breaker.minutes <= 1440
    error_message = "guardrails.circuit_breaker must have targets of at least 1 and minutes from 1 to 1440, whole numbers."
  }
  validation {
    condition     = var.guardrails.approval_timeout_minutes >= 1 && var.guardrails.approval_timeout_minutes <= 10080 && floor(var.guardrails.approval_timeout_minutes) == var.guardrails.approval_timeout_minutes
    error_message = "guardrails.approval_timeout_minutes must be a whole number from 1 to 10080 (a week)."
  }
}

variable "paused" {
  description = "Stops every action and says so in every message. Findings are still recorded and people told."
  type        = bool
  default     = false
  nullable    = false
}
