# Where the response runs and with what. The switches (what is answered, and how) are in variables-policy.tf, and the
# guardrails in variables-guardrails.tf.

variable "create" {
  description = "Set to false to create nothing at all."
  type        = bool
  default     = true
  nullable    = false
}

variable "name_prefix" {
  description = <<-EOT
    Prefix of every name, in member accounts too. Deployments in several Regions need different prefixes.
  EOT
  type        = string
  default     = "guardduty-response"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,24}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix must be 2 to 26 characters long: lower-case letters, digits and hyphens, starting with a letter and not ending in a hyphen (bucket and role names are built from it)."
  }

  validation {
    condition     = !startswith("${var.name_prefix}-", "sg-")
    error_message = "name_prefix must not be sg nor begin with sg-: the quarantine security group is named after it, and EC2 takes no name that begins with sg-."
  }
}

variable "tags" {
  description = "Tags of every resource, in addition to the provider's default_tags."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "organization_id" {
  description = "AWS Organizations id (o-…). If set, member roles can be assumed only inside this organization."
  type        = string
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "organization_id must be an AWS Organizations id such as o-a1b2c3d4e5, or null."
  }
}

variable "iam" {
  description = "Path and permissions boundary of every role. The path is that of the roles in member accounts, too."
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

variable "kms" {
  description = <<-EOT
    The key that encrypts everything. It is created here, or you bring your own (create = false and key_arn).
    The policy of your own key must let logs, sns, events and cloudwatch use it, and budgets if spend_watch notifies a
    topic. The output kms_key_policy_statements has the statements.
  EOT
  type = object({
    create  = optional(bool, true)
    key_arn = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.kms.create ? var.kms.key_arn == null : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms.key_arn))
    error_message = var.kms.create ? "kms.key_arn is given, but kms.create is true, which creates another key. Set kms.create = false to use ${coalesce(var.kms.key_arn, "yours")}, or leave kms.key_arn out." : "kms.create is false, so kms.key_arn must be the ARN of your KMS key (arn:aws:kms:<region>:<account>:key/<id>, not an alias), not ${coalesce(var.kms.key_arn, "left out")}."
  }
}

variable "notifications" {
  description = <<-EOT
    Says who is notified. Topics are created here, or you bring your own (create_topic = false and topic_arn). Without
    an escalation topic, escalations go to the notifications topic.
    - topic_kms_key_arn is the key of your own topic, if that is not kms.key_arn. Without it, publishing to such a
      topic is refused.
    - expected_subscriptions is the number of confirmed subscriptions below which there is an alarm: by default the
      number of email_addresses, and at least 1. With 0, the topic is not looked at.
    - messages_a_minute is the number of single messages that a topic gets in a minute. What comes beyond goes out in
      digests. More is of use only if no person is subscribed: SNS suspends an e-mail subscription that gets more than
      ten in a second.
    - runbook_url is linked in every message.
    - siem_search_url is a search in your own tool (Splunk, Sumo Logic). It is linked with {user}, {role},
      {session}, {access_key}, {account}, {region}, {start}, {end}, {start_epoch}, {end_epoch} and {finding_id}
      filled in.
  EOT
  type = object({
    create_topic           = optional(bool, true)
    topic_arn              = optional(string)
    topic_kms_key_arn      = optional(string)
    email_addresses        = optional(list(string), [])
    expected_subscriptions = optional(number)
    messages_a_minute      = optional(number, 6)
    runbook_url            = optional(string)
    siem_search_url        = optional(string)
    escalation = optional(object({
      create_topic           = optional(bool, true)
      topic_arn              = optional(string)
      topic_kms_key_arn      = optional(string)
      email_addresses        = optional(list(string), [])
      expected_subscriptions = optional(number)
    }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.notifications.create_topic ? var.notifications.topic_arn == null : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.notifications.topic_arn))
    error_message = "notifications.topic_arn must be the ARN of a standard SNS topic when notifications.create_topic is false, and must be left out when it is true."
  }
  validation {
    condition = var.notifications.escalation.topic_arn == null ? true : (
      !var.notifications.escalation.create_topic && can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.notifications.escalation.topic_arn))
    )
    error_message = "notifications.escalation.topic_arn must be the ARN of a standard SNS topic, together with notifications.escalation.create_topic = false."
  }
  validation {
    condition = alltrue([
      for topic in [var.notifications, var.notifications.escalation] :
      topic.topic_kms_key_arn == null ? true : !topic.create_topic && topic.topic_arn != null && can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", topic.topic_kms_key_arn))
    ])
    error_message = "topic_kms_key_arn (in notifications and notifications.escalation) must be the ARN of the KMS key (arn:aws:kms:<region>:<account>:key/<id>, not an alias) of your own topic, together with create_topic = false and topic_arn. A topic that is created here is encrypted with the module's key."
  }
  validation {
    condition     = alltrue([for a in concat(var.notifications.email_addresses, var.notifications.escalation.email_addresses) : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", a))])
    error_message = "notifications.email_addresses and notifications.escalation.email_addresses must be e-mail addresses, not ${join(", ", [for a in concat(var.notifications.email_addresses, var.notifications.escalation.email_addresses) : "\"${a}\"" if !can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", a))])}."
  }
  validation {
    condition = (
      (var.notifications.create_topic || length(var.notifications.email_addresses) == 0) &&
      (var.notifications.escalation.create_topic || length(var.notifications.escalation.email_addresses) == 0)
    )
    error_message = "email_addresses are subscribed only to topics that are created here. Subscribe them to your own topic where that topic is managed."
  }
  validation {
    condition     = var.notifications.messages_a_minute >= 1 && floor(var.notifications.messages_a_minute) == var.notifications.messages_a_minute
    error_message = "notifications.messages_a_minute must be a whole number, at least 1."
  }
  validation {
    condition = alltrue([
      for topic in [var.notifications, var.notifications.escalation] :
      topic.expected_subscriptions == null ? true : topic.expected_subscriptions >= 0 && floor(topic.expected_subscriptions) == topic.expected_subscriptions
    ])
    error_message = "expected_subscriptions (in notifications and notifications.escalation) must be a whole number: 0 if the topic is not to be looked at."
  }
  validation {
    condition     = var.notifications.runbook_url == null || can(regex("^https://[^\\s]+$", var.notifications.runbook_url))
    error_message = "notifications.runbook_url must start with https://, or be null."
  }
  validation {
    condition = var.notifications.siem_search_url == null ? true : can(regex("^https://[^\\s]+$", var.notifications.siem_search_url)) && alltrue([
      for name in regexall("\\{[^}]*\\}", var.notifications.siem_search_url) :
      contains(["{user}", "{role}", "{session}", "{access_key}", "{account}", "{region}", "{start}", "{end}", "{start_epoch}", "{end_epoch}", "{finding_id}"], name)
    ])
    error_message = "notifications.siem_search_url must start with https://, with no placeholders but {user}, {role}, {session}, {access_key}, {account}, {region}, {start}, {end}, {start_epoch}, {end_epoch} and {finding_id}."
  }
}

variable "deletion_protection" {
  description = <<-EOT
    Keeps the incident table from being deleted: it has the state before every containment, without which none can be
    undone. To destroy the module, set this to false and apply first.
  EOT
  type        = bool
  default     = true
  nullable    = false
}

variable "evidence" {
  description = <<-EOT
    Says where findings, records and evidence are kept. The bucket is created here, or you bring your own
    (create_bucket = false and bucket_arn; the functions use the module's key for it).
    - object_lock can be switched on for a bucket that exists; what lies in it already is not locked. Without it again,
      S3 locks no new objects, and those that are locked stay so.
    - expire_after_days must be longer than any containment lasts: the finding, and prior states of over 64 KB, are
      in the bucket too. Without them a containment can neither be verified nor restored.
    - log_window_minutes is how long before the first event of a finding the copied flow logs and CloudTrail records
      begin.
    - forensics_account is the account that snapshots are shared with, encrypted with kms_key_arn. With
      copy_role_name (modules/forensics-account; a name without path, because the role is at iam.path), they are
      also copied there. Instances of several Regions need a multi-Region key with a replica in each Region
      (modules/forensics-replica).
    - replica is the bucket of another account that S3 replicates the incidents' objects into, encrypted with
      kms_key_arn (output evidence_replica of modules/forensics-account). object_lock says that it has Object Lock
      enabled, which it must have if the evidence bucket is locked. metrics and time_control (within 15 minutes, by
      AWS's service level agreement) cost extra; with either, an alarm says of any object that S3 could not replicate
      it. A bucket that you bring is replicated by a rule of your own, and replica names its destination. After the
      manifest, the collector asks S3 of each object whether it was replicated.
  EOT
  type = object({
    create_bucket      = optional(bool, true)
    bucket_arn         = optional(string)
    expire_after_days  = optional(number)
    force_destroy      = optional(bool, false)
    log_retention_days = optional(number, 365)
    log_window_minutes = optional(number, 60)
    forensics_account = optional(object({
      account_id     = string
      kms_key_arn    = string
      copy_role_name = optional(string)
    }))
    object_lock = optional(object({
      mode = optional(string, "GOVERNANCE")
      days = number
    }))
    replica = optional(object({
      bucket_arn   = string
      account_id   = string
      kms_key_arn  = string
      object_lock  = optional(bool, false)
      metrics      = optional(bool, false)
      time_control = optional(bool, false)
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.evidence.create_bucket ? var.evidence.bucket_arn == null : can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]{3,63}$", var.evidence.bucket_arn))
    error_message = "evidence.bucket_arn must be the ARN of an S3 bucket (arn:aws:s3:::name) when evidence.create_bucket is false, and must be left out when it is true."
  }
  validation {
    condition     = var.evidence.create_bucket || (var.evidence.object_lock == null && var.evidence.expire_after_days == null && !var.evidence.force_destroy)
    error_message = "evidence.object_lock, expire_after_days and force_destroy apply to a bucket created here only: leave them out with evidence.create_bucket = false."
  }
  validation {
    condition     = var.evidence.object_lock == null ? true : contains(["GOVERNANCE", "COMPLIANCE"], var.evidence.object_lock.mode)
    error_message = "evidence.object_lock.mode must be GOVERNANCE or COMPLIANCE."
  }
  validation {
    condition     = var.evidence.object_lock == null ? true : var.evidence.object_lock.days >= 1 && var.evidence.object_lock.days <= 36500 && floor(var.evidence.object_lock.days) == var.evidence.object_lock.days
    error_message = "evidence.object_lock.days must be a whole number from 1 to 36500."
  }
  validation {
    condition     = var.evidence.expire_after_days == null ? true : var.evidence.expire_after_days >= try(var.evidence.object_lock.days, 1) && floor(var.evidence.expire_after_days) == var.evidence.expire_after_days
    error_message = "evidence.expire_after_days must be a whole number of days, at least 1 and not shorter than evidence.object_lock.days, or null to keep evidence for ever."
  }
  validation {
    condition     = var.evidence.log_window_minutes >= 0 && var.evidence.log_window_minutes <= 1440
    error_message = "evidence.log_window_minutes must be a number from 0 to 1440 (a day)."
  }
  validation {
    condition     = var.evidence.forensics_account == null ? true : can(regex("^[0-9]{12}$", var.evidence.forensics_account.account_id)) && can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.evidence.forensics_account.kms_key_arn)) && (var.evidence.forensics_account.copy_role_name == null ? true : can(regex("^[A-Za-z0-9_+=,.@-]{1,64}$", var.evidence.forensics_account.copy_role_name)))
    error_message = "evidence.forensics_account must have a 12-digit account_id, the ARN of a KMS key (arn:aws:kms:<region>:<account>:key/<id>), and a role name without a path or none."
  }
  validation {
    condition     = var.evidence.replica == null ? true : can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]{3,63}$", var.evidence.replica.bucket_arn)) && can(regex("^[0-9]{12}$", var.evidence.replica.account_id)) && can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.evidence.replica.kms_key_arn))
    error_message = "evidence.replica must have the ARN of an S3 bucket (arn:aws:s3:::name), a 12-digit account_id, and the ARN of a KMS key (arn:aws:kms:<region>:<account>:key/<id>): the output evidence_replica of modules/forensics-account."
  }
  validation {
    condition     = var.evidence.replica == null ? true : try(split(":", var.evidence.replica.kms_key_arn)[1] == split(":", var.evidence.replica.bucket_arn)[1] && split(":", var.evidence.replica.kms_key_arn)[4] == var.evidence.replica.account_id, false)
    error_message = "evidence.replica.kms_key_arn must be a key of evidence.replica.account_id, in the partition of evidence.replica.bucket_arn: with a key of another account, the owner of the replicas could not read them."
  }
  validation {
    condition     = var.evidence.replica == null || var.evidence.object_lock == null ? true : var.evidence.replica.object_lock
    error_message = "evidence.object_lock locks the evidence bucket, and S3 replicates a locked bucket only into a bucket with Object Lock enabled. Enable it there (modules/forensics-account does), and say so with evidence.replica.object_lock = true."
  }
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.evidence.log_retention_days)
    error_message = "evidence.log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 (what CloudWatch Logs offers)."
  }
}

variable "functions" {
  description = "Settings of every function. With vpc, the functions run in these subnets, which must be able to reach the AWS APIs."
  type = object({
    architecture = optional(string, "x86_64")
    memory_size  = optional(number, 1024)
    vpc = optional(object({
      subnet_ids         = optional(list(string), [])
      security_group_ids = optional(list(string), [])
    }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.functions.architecture)
    error_message = "functions.architecture must be x86_64 or arm64."
  }
  validation {
    condition     = var.functions.memory_size >= 256 && var.functions.memory_size <= 10240 && floor(var.functions.memory_size) == var.functions.memory_size
    error_message = "functions.memory_size must be a whole number of MB from 256 to 10240."
  }
  validation {
    condition     = (length(var.functions.vpc.subnet_ids) > 0) == (length(var.functions.vpc.security_group_ids) > 0)
    error_message = "functions.vpc needs both subnet_ids and security_group_ids, or neither."
  }
}
