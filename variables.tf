# Where the response runs and with what. The switches (what is answered, and how) are in variables-policy.tf, and the
# guardrails in variables-guardrails.tf.

variable "create" {
  description = "Set to false to create nothing of the response. What the variable guardduty asks for stays."
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
  description = <<-EOT
    Path and permissions boundary of every role, as { path, permissions_boundary }. The path is that of the roles in
    member accounts, too.
  EOT
  type        = any
  default     = {}
  nullable    = false
}

variable "kms" {
  description = <<-EOT
    The key that encrypts everything. It is created here, or you bring your own: { create = false, key_arn }. A key
    that was created here is not deleted for that; { create = false, key_arn, keep_created = true } keeps both.
    The policy of your own key must let logs, sns, events and cloudwatch use it, and budgets if spend_watch notifies a
    topic. The output kms_key_policy_statements has the statements.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = try(coalesce(tobool(var.kms.create)), true) ? try(var.kms.key_arn, null) == null : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms.key_arn))
    error_message = try(coalesce(tobool(var.kms.create)), true) ? "kms.key_arn is given, but kms.create is true, which creates another key. Set kms.create = false to use ${try(coalesce(var.kms.key_arn), "yours")}, or leave kms.key_arn out." : "kms.create is false, so kms.key_arn must be the ARN of your KMS key (arn:aws:kms:<region>:<account>:key/<id>, not an alias), not ${try(coalesce(var.kms.key_arn), "left out")}."
  }
}

variable "notifications" {
  description = <<-EOT
    Says who is notified, for example { email_addresses = ["soc@example.com"] }. Topics are created here, or you bring
    your own (create_topic = false and topic_arn). Without an escalation topic, escalations go to the notifications
    topic. docs/settings.md lists the keys.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = try(coalesce(tobool(var.notifications.create_topic)), true) == (try(var.notifications.topic_arn, null) == null)
    error_message = try(coalesce(tobool(var.notifications.create_topic)), true) ? "notifications.topic_arn is given, but notifications.create_topic is true, which creates another topic. Set notifications.create_topic = false to use ${try(coalesce(var.notifications.topic_arn), "yours")}, or leave notifications.topic_arn out." : "notifications.create_topic is false, so notifications.topic_arn must be the ARN of your standard SNS topic."
  }
  validation {
    condition     = try(coalesce(tobool(var.notifications.escalation.create_topic)), true) ? try(var.notifications.escalation.topic_arn, null) == null : true
    error_message = "notifications.escalation.topic_arn must be the ARN of a standard SNS topic, together with notifications.escalation.create_topic = false."
  }
  validation {
    condition = alltrue([
      for topic in [var.notifications, try(var.notifications.escalation, null)] :
      try(topic.topic_kms_key_arn, null) == null ? true : !try(coalesce(tobool(topic.create_topic)), true) && try(topic.topic_arn, null) != null && can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", topic.topic_kms_key_arn))
    ])
    error_message = "topic_kms_key_arn (in notifications and notifications.escalation) must be the ARN of the KMS key (arn:aws:kms:<region>:<account>:key/<id>, not an alias) of your own topic, together with create_topic = false and topic_arn. A topic that is created here is encrypted with the module's key."
  }
  validation {
    condition = alltrue([
      for topic in [var.notifications, try(var.notifications.escalation, null)] : try(coalesce(tobool(topic.create_topic)), true) || try(length(topic.email_addresses), 0) == 0
    ])
    error_message = "email_addresses are subscribed only to topics that are created here. Subscribe them to your own topic where that topic is managed."
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
    Says where findings, records and evidence are kept, and for how long. The bucket is created here, or you bring your
    own (create_bucket = false and bucket_arn). docs/settings.md lists the keys.
    - object_lock can be switched on for a bucket that exists; what lies in it already is not locked. Without it again,
      S3 locks no new objects, and those that are locked stay so.
    - expire_after_days must be longer than any containment lasts: the finding, and prior states of over 64 KB, are
      in the bucket too. Without them a containment can neither be verified nor restored.
    - replica needs a rule of your own if you bring the bucket; it names its destination then. After the manifest, the
      collector asks S3 of each object whether it was replicated.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = try(coalesce(tobool(var.evidence.create_bucket)), true) == (try(var.evidence.bucket_arn, null) == null)
    error_message = try(coalesce(tobool(var.evidence.create_bucket)), true) ? "evidence.bucket_arn is given, but evidence.create_bucket is true, which creates another bucket. Set evidence.create_bucket = false to use ${try(coalesce(var.evidence.bucket_arn), "yours")}, or leave evidence.bucket_arn out." : "evidence.create_bucket is false, so evidence.bucket_arn must be the ARN of your S3 bucket (arn:aws:s3:::name)."
  }
  validation {
    condition     = try(coalesce(tobool(var.evidence.create_bucket)), true) || (try(var.evidence.object_lock, null) == null && try(var.evidence.expire_after_days, null) == null && !try(coalesce(tobool(var.evidence.force_destroy)), false))
    error_message = "evidence.object_lock, expire_after_days and force_destroy apply to a bucket created here only: leave them out with evidence.create_bucket = false."
  }
  validation {
    condition     = try(var.evidence.expire_after_days >= var.evidence.object_lock.days, true)
    error_message = "evidence.expire_after_days must be a whole number of days, at least 1 and not shorter than evidence.object_lock.days, or null to keep evidence for ever."
  }
  validation {
    condition = (
      !can(regex("^[0-9]{12}$", var.evidence.replica.account_id)) || !can(regex("^arn:[a-z-]+:s3:::", var.evidence.replica.bucket_arn)) || !can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.evidence.replica.kms_key_arn)) ? true :
      try(split(":", var.evidence.replica.kms_key_arn)[1] == split(":", var.evidence.replica.bucket_arn)[1] && split(":", var.evidence.replica.kms_key_arn)[4] == var.evidence.replica.account_id, false)
    )
    error_message = "evidence.replica.kms_key_arn must be a key of evidence.replica.account_id, in the partition of evidence.replica.bucket_arn: with a key of another account, the owner of the replicas could not read them."
  }
  validation {
    condition     = try(var.evidence.replica, null) == null || try(var.evidence.object_lock, null) == null ? true : try(coalesce(tobool(var.evidence.replica.object_lock)), false)
    error_message = "evidence.object_lock locks the evidence bucket, and S3 replicates a locked bucket only into a bucket with Object Lock enabled. Enable it there (modules/forensics-account does), and say so with evidence.replica.object_lock = true."
  }
}

variable "functions" {
  description = <<-EOT
    Settings of every function, as { architecture, memory_size, vpc = { subnet_ids, security_group_ids } }. With vpc, the
    functions run in these subnets, which must be able to reach the AWS APIs.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = (try(length(var.functions.vpc.subnet_ids), 0) > 0) == (try(length(var.functions.vpc.security_group_ids), 0) > 0)
    error_message = "functions.vpc needs both subnet_ids and security_group_ids, or neither."
  }
}
