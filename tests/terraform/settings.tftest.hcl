# The variables that are objects: every rule of a single key (schema/variables), broken once, and what the sentence says.
# modules/typed-options needs no provider. Rules over several keys are in variables.tftest.hcl.

run "iam" {
  command = plan

  module {
    source = "./modules/typed-options"
  }
  variables {
    name   = "iam"
    schema = jsondecode(file("./schema/variables/iam.json"))
    value  = { path = "security", permissions_boundary = "boundary", boundary = null }
  }

  assert {
    condition = output.problems == [
      "iam.boundary is no key of this variable; the nearest is permissions_boundary. Its keys are path, permissions_boundary.",
      "iam.path must start and end with a slash, for example \"/security/\"; it is \"security\".",
      "iam.permissions_boundary must be the ARN of an IAM policy, for example \"arn:aws:iam::111122223333:policy/boundary\"; it is \"boundary\".",
    ]
    error_message = jsonencode(output.problems)
  }
}

run "kms" {
  command = plan

  module {
    source = "./modules/typed-options"
  }
  variables {
    name   = "kms"
    schema = jsondecode(file("./schema/variables/kms.json"))
    value  = { creat = true, create = "yes", keep_created = "long", key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/security" }
  }

  assert {
    condition = output.problems == [
      "kms.creat is no key of this variable; the nearest is create. Its keys are create, keep_created, key_arn.",
      "kms.create must be true or false; it is \"yes\".",
      "kms.keep_created must be true or false; it is \"long\".",
      "kms.key_arn must be the ARN of a KMS key (arn:aws:kms:<region>:<account>:key/<id>, not an alias), for example \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\"; it is \"arn:aws:kms:eu-central-1:111122223333:alias/security\".",
    ]
    error_message = jsonencode(output.problems)
  }
}

run "notifications" {
  command = plan

  module {
    source = "./modules/typed-options"
  }
  variables {
    name   = "notifications"
    schema = jsondecode(file("./schema/variables/notifications.json"))
    value = {
      emails          = ["soc@example.com"], email_addresses = ["on-call", "soc@example.com"], topic_arn = "security", messages_a_minute = 0, expected_subscriptions = -1, runbook_url = "http://wiki",
      siem_search_url = "https://siem.example.com/?q={username}", escalation = { expected_subscriptions = 1.5, email_addresses = "soc@example.com", topic_kms_key_arn = "alias/on-call", runbook_url = "https://wiki" }
    }
  }

  assert {
    condition = output.problems == [
      "notifications.emails is no key of this variable; the nearest is email_addresses. Its keys are create_topic, email_addresses, escalation, expected_subscriptions, messages_a_minute, runbook_url, siem_search_url, topic_arn, topic_kms_key_arn.",
      "notifications.escalation.runbook_url is no key of this variable. escalation has create_topic, email_addresses, expected_subscriptions, topic_arn, topic_kms_key_arn.",
      "notifications.email_addresses must be a list of e-mail addresses, for example [\"soc@example.com\"]; it is \"on-call\".",
      "notifications.escalation.email_addresses must be a list of e-mail addresses, for example [\"soc@example.com\"]; it is \"soc@example.com\".",
      "notifications.escalation.expected_subscriptions must be a whole number: 0 if the topic is not to be looked at; it is 1.5.",
      "notifications.escalation.topic_kms_key_arn must be the ARN of a KMS key (arn:aws:kms:<region>:<account>:key/<id>, not an alias), for example \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\"; it is \"alias/on-call\".",
      "notifications.expected_subscriptions must be a whole number: 0 if the topic is not to be looked at; it is -1.",
      "notifications.messages_a_minute must be a whole number, at least 1; it is 0.",
      "notifications.runbook_url must start with https://, for example \"https://wiki.example.com/runbook\"; it is \"http://wiki\".",
      "notifications.siem_search_url must start with https://, with no placeholders but {user}, {role}, {session}, {access_key}, {account}, {region}, {start}, {end}, {start_epoch}, {end_epoch} and {finding_id}, for example \"https://siem.example.com/search?q={user}\"; it is \"https://siem.example.com/?q={username}\".",
      "notifications.topic_arn must be the ARN of a standard SNS topic, for example \"arn:aws:sns:eu-central-1:111122223333:security\"; it is \"security\".",
    ]
    error_message = jsonencode(output.problems)
  }
}

run "evidence" {
  command = plan

  module {
    source = "./modules/typed-options"
  }
  variables {
    name   = "evidence"
    schema = jsondecode(file("./schema/variables/evidence.json"))
    value = {
      bucket_arn  = "vault", expire_after_days = 0, log_retention_days = 42, log_window_minutes = -1, force_destroy = "perhaps", forensics_account = { account_id = "1", kms_key_arn = "alias/key", copy_role_name = "security/copier" },
      object_lock = { mode = "LEGAL", day = 30 }, replica = { bucket_arn = "vault", account_id = 44455556666, kms_key_arn = "alias/vault", metric = true }
    }
  }

  assert {
    condition = output.problems == [
      "evidence.object_lock.day is no key of this variable; the nearest is days. object_lock has days, mode.",
      "evidence.replica.metric is no key of this variable; the nearest is metrics. replica has account_id, bucket_arn, kms_key_arn, metrics, object_lock, time_control.",
      "evidence.bucket_arn must be the ARN of an S3 bucket (arn:aws:s3:::name), for example \"arn:aws:s3:::security-evidence\"; it is \"vault\".",
      "evidence.expire_after_days must be a whole number of days, at least 1; it is 0.",
      "evidence.force_destroy must be true or false; it is \"perhaps\".",
      "evidence.forensics_account.account_id must be a 12-digit account id in quotation marks (a number without them loses its leading zeros), for example \"444455556666\"; it is \"1\".",
      "evidence.forensics_account.copy_role_name must be the name of a role without a path, for example \"guardduty-response-snapshot-copier\"; it is \"security/copier\".",
      "evidence.forensics_account.kms_key_arn must be the ARN of a KMS key (arn:aws:kms:<region>:<account>:key/<id>, not an alias), for example \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\"; it is \"alias/key\".",
      "evidence.log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 (what CloudWatch Logs offers); it is 42.",
      "evidence.log_window_minutes must be a number from 0 to 1440; it is -1.",
      "evidence.object_lock.mode must be one of GOVERNANCE, COMPLIANCE; it is \"LEGAL\".",
      "evidence.replica.account_id must be a 12-digit account id in quotation marks (a number without them loses its leading zeros), for example \"444455556666\"; it is 44455556666.",
      "evidence.replica.bucket_arn must be the ARN of an S3 bucket (arn:aws:s3:::name), for example \"arn:aws:s3:::security-evidence\"; it is \"vault\".",
      "evidence.replica.kms_key_arn must be the ARN of a KMS key (arn:aws:kms:<region>:<account>:key/<id>, not an alias), for example \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\"; it is \"alias/vault\".",
      "evidence.object_lock.days is missing: How long an object is locked, in days.",
    ]
    error_message = jsonencode(output.problems)
  }
}

run "forensics" {
  command = plan

  module {
    source = "./modules/typed-options"
  }
  variables {
    name   = "forensics"
    schema = jsondecode(file("./schema/variables/forensics.json"))
    value = {
      when     = "during", deadline_seconds = 1, deadlines = { "CryptoCurrency:EC2/*" = 901, "*" = 30 }, timeout_minutes = 0, packet_capture_seconds = 900, memory = { linux = { location = "http://tools/avml", sha256 = "abc" }, mac = {} },
      commands = { linux = "ps" }, account_ids = ["1234", "111122223333"]
    }
  }

  assert {
    condition = output.problems == [
      "forensics.memory.mac is no key of this variable. memory has linux, windows.",
      "forensics.account_ids must be a list of 12-digit account ids in quotation marks, for example [\"222233334444\"]; it is \"1234\".",
      "forensics.commands.linux must be a list of strings, for example [\"ps auxww\"]; it is \"ps\".",
      "forensics.deadline_seconds must be a whole number from 5 to 900, or 0: containment waits that long at most, and with 0 not at all; it is 1.",
      "forensics.deadlines must map finding types or patterns to whole numbers from 5 to 900, or 0: containment waits that long at most, and with 0 not at all, for example {\"CryptoCurrency:EC2/*\":30}; it is {\"*\":30,\"CryptoCurrency:EC2/*\":901}.",
      "forensics.memory.linux.location must be https://… or s3://<evidence bucket>/tools/…, with no query, for example \"s3://evidence/tools/avml\"; it is \"http://tools/avml\".",
      "forensics.memory.linux.sha256 must be 64 lower-case hexadecimal digits; it is \"abc\".",
      "forensics.packet_capture_seconds must be a whole number from 0 to 300; it is 900.",
      "forensics.timeout_minutes must be a whole number from 1 to 240; it is 0.",
      "forensics.when must be one of off, before (containment waits, at most for the deadline), after; it is \"during\".",
    ]
    error_message = jsonencode(output.problems)
  }
}

run "watch" {
  command = plan

  module {
    source = "./modules/typed-options"
  }
  variables {
    name   = "watch"
    schema = jsondecode(file("./schema/variables/watch.json"))
    value  = { minutes = 0, first_day_minutes = 0.5, first_week_minutes = 1441, later_minutes = "rarely", checks_in_flight = 0, reserved_concurrency = 1, cloud_trail = true }
  }

  assert {
    condition = output.problems == [
      "watch.cloud_trail is no key of this variable; the nearest is cloudtrail. Its keys are checks_in_flight, cloudtrail, first_day_minutes, first_week_minutes, later_minutes, minutes, reserved_concurrency.",
      "watch.checks_in_flight must be a whole number from 1 to 100; it is 0.",
      "watch.first_day_minutes must be a whole number from 1 to 1440; it is 0.5.",
      "watch.first_week_minutes must be a whole number from 1 to 1440; it is 1441.",
      "watch.later_minutes must be a whole number from 1 to 1440; it is \"rarely\".",
      "watch.minutes must be a whole number from 1 to 1440; it is 0.",
      "watch.reserved_concurrency must be a whole number, at least 2; it is 1.",
    ]
    error_message = jsonencode(output.problems)
  }
}

run "functions" {
  command = plan

  module {
    source = "./modules/typed-options"
  }
  variables {
    name   = "functions"
    schema = jsondecode(file("./schema/variables/functions.json"))
    value  = { architecture = "mips", memory_size = 128, vpc = { subnets = ["subnet-1"], subnet_ids = "subnet-1" }, memory = 1 }
  }

  assert {
    condition = output.problems == [
      "functions.memory is no key of this variable; the nearest is memory_size. Its keys are architecture, memory_size, vpc.",
      "functions.vpc.subnets is no key of this variable; the nearest is subnet_ids. vpc has security_group_ids, subnet_ids.",
      "functions.architecture must be one of x86_64, arm64; it is \"mips\".",
      "functions.memory_size must be a whole number from 256 to 10240; it is 128.",
      "functions.vpc.subnet_ids must be a list of strings, for example [\"subnet-0123456789abcdef0\"]; it is \"subnet-1\".",
    ]
    error_message = jsonencode(output.problems)
  }
}

run "event_forwarding" {
  command = plan

  module {
    source = "./modules/typed-options"
  }
  variables {
    name   = "event_forwarding"
    schema = jsondecode(file("./schema/variables/event_forwarding.json"))
    value  = { from_organisation = true, more_statements = "{}", manage_policy = [] }
  }

  assert {
    condition = output.problems == [
      "event_forwarding.from_organisation is no key of this variable; the nearest is from_organization. Its keys are from_organization, manage_policy, more_statements.",
      "event_forwarding.manage_policy must be true or false; it is [].",
      "event_forwarding.more_statements must be a list of strings, for example [\"{\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":\\\"*\\\",\\\"Action\\\":\\\"events:PutEvents\\\",\\\"Resource\\\":\\\"*\\\"}\"]; it is \"{}\".",
    ]
    error_message = jsonencode(output.problems)
  }
}
