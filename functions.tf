# The functions that change or collect. Each has one job, and a role that may assume one kind of member role: the
# function that contains cannot collect, restore or terminate, and none of these can do another's job
# (docs/decisions/0001).

locals {
  # name is the job in the manifests, and part of the name of the function, its role and its zip. It is never the member
  # role's word, because both roles may be in one account.
  jobs = {
    playbook = {
      handler          = "respond"
      member_role      = "responder"
      name             = "playbook"
      description      = "Contains and verifies."
      alarm            = "Containing raised an error: an incident may not have been contained."
      evidence_actions = ["s3:GetObject", "s3:PutObject"]
      tells            = false
    }
    collector = {
      handler     = "collect"
      member_role = "collector"
      name        = "collect"
      description = "Collects forensics and evidence."
      alarm       = "Collecting evidence raised an error: evidence of an incident may be missing."
      # It asks for the replication status of the very version that it stored.
      evidence_actions = concat(["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], local.evidence_settings.replica == null ? [] : ["s3:GetObjectVersion"])
      tells            = false
    }
    remediate = {
      handler          = "eradicate"
      member_role      = "remediator"
      name             = "remediate"
      description      = "Undoes what a contained principal did, in forms that can be undone."
      alarm            = "Undoing a contained principal's actions raised an error: some may still stand."
      evidence_actions = ["s3:GetObject", "s3:PutObject"]
      tells            = false
    }
    restore = {
      handler          = "restore"
      member_role      = "restorer"
      name             = "restore"
      description      = "Undoes containment, and closes incidents; started by people only."
      alarm            = "Undoing a containment raised an error: a resource may be restored in part, unrecorded. Ask again after looking."
      evidence_actions = ["s3:GetObject", "s3:PutObject"]
      tells            = true
    }
    terminate = {
      handler          = "terminate"
      member_role      = "terminator"
      name             = "terminate"
      description      = "Terminates what is contained and kept as evidence."
      alarm            = "Terminating raised an error: a contained resource may still exist."
      evidence_actions = ["s3:GetObject"]
      tells            = false
    }
    monitor = {
      handler          = "monitor"
      member_role      = "monitor"
      name             = "monitor"
      description      = "Verifies containments again, and starts the incident machine when something is lost."
      alarm            = "Monitoring raised an error: containments may not have been checked. They are due again when their claims end, after ten minutes."
      evidence_actions = ["s3:GetObject"]
      tells            = false
    }
  }

  more_statements = {
    monitor = [{
      Sid      = "AnswerALoss"
      Effect   = "Allow"
      Action   = "states:StartExecution"
      Resource = try(module.incident[0].machine_arns.incident, "")
    }]
    playbook  = []
    remediate = []
    restore   = []
    terminate = []
    collector = concat(
      [{
        Sid      = "Tools"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${try(module.incident[0].bucket_arn, "")}/tools/*"
      }],
      [for account in [local.evidence_settings.forensics_account] : {
        Sid      = "CopyRoleOfTheForensicsAccount"
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = "arn:${local.partition}:iam::${account.account_id}:role${local.iam_settings.path}${account.copy_role_name}"
      } if try(account.copy_role_name, null) != null],
    )
  }

  # "<playbook>/<job>" => its playbook and job. Known from the variables alone.
  # What contained something must be restorable also when no switch uses its playbook any more.
  functions = merge([
    for job, what in local.jobs : {
      for name in keys(local.playbooks) : "${name}/${job}" => { playbook = name, job = job }
      if contains(local.jobs_switched_on[name], what.name) && (what.name == "restore" || contains(local.playbooks_in_use, name))
    }
  ]...)

  # What the state machine may call, by function key: act (plan, contain, verify), collect, finish, remediate, terminate.
  playbook_functions = {
    for name in var.create ? local.playbooks_in_use : [] : name => merge(
      {
        act     = module.function["${name}/playbook"].function_arn
        collect = module.function["${name}/collector"].function_arn
        finish  = module.function["${name}/playbook"].function_arn
      },
      { for phase in ["remediate", "terminate"] : phase => module.function["${name}/${phase}"].function_arn if contains(keys(local.functions), "${name}/${phase}") },
    )
  }
}

locals {
  # playbook => the function that verifies its containments again. By name: else the functions that open incidents
  # would be updated only after all others, and keep the old configuration where one of these fails.
  monitor_functions = {
    for name in var.create ? local.playbooks_in_use : [] : name => "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${var.name_prefix}-monitor-${replace(name, "_", "-")}"
    if contains(keys(local.functions), "${name}/monitor")
  }
}

locals {
  # playbook => the alias by which the function that contains only takes out of roles what denies sessions that are over.
  # By name, too.
  expiry_functions = {
    for name in var.create ? local.playbooks_in_use : [] : name => "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${var.name_prefix}-playbook-${replace(name, "_", "-")}:expire"
    if contains(keys(local.functions), "${name}/playbook")
  }
}

locals {
  # What containing, monitoring and restoring may use outside the finding's account: one role each, in one account.
  identity_center = local.playbook_options.iam_principal.identity_center
  identity_center_roles = {
    for key, role in { "iam_principal/playbook" = "responder", "iam_principal/monitor" = "monitor", "iam_principal/restore" = "restorer" } :
    key => "${trimprefix(local.iam_settings.path, "/")}${var.name_prefix}-identity-center-${role}" if local.identity_center != null
  }
  identity_center_statements = {
    for key, role in local.identity_center_roles : key => merge(
      {
        Sid      = "IdentityCenterRole"
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = "arn:${local.partition}:iam::${local.identity_center.account_id}:role/${role}"
      },
      { for name, value in { Condition = { StringEquals = { "aws:ResourceOrgID" = var.organization_id } } } : name => value if var.organization_id != null },
    )
  }
}

locals {
  trail_query = local.playbook_options.iam_principal.trail_query
  # If configured, a query in this account replaces LookupEvents. What Athena reads in addition is defined by the
  # workgroup.
  trail_query_statements = concat(
    [
      for statement in [
        {
          Sid      = "TrailQuery"
          Effect   = "Allow"
          Action   = ["athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:StopQueryExecution"]
          Resource = "arn:${local.partition}:athena:*:${local.account_id}:workgroup/${try(local.trail_query.athena.workgroup, "")}"
        },
        {
          Sid    = "TrailTable"
          Effect = "Allow"
          Action = ["glue:GetDatabase", "glue:GetTable", "glue:GetPartition", "glue:GetPartitions"]
          Resource = [
            "arn:${local.partition}:glue:*:${local.account_id}:catalog",
            "arn:${local.partition}:glue:*:${local.account_id}:database/${try(local.trail_query.athena.database, "")}",
            "arn:${local.partition}:glue:*:${local.account_id}:table/${try(local.trail_query.athena.database, "")}/${try(local.trail_query.athena.table, "")}",
          ]
        },
        {
          Sid      = "TrailObjects"
          Effect   = "Allow"
          Action   = ["s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
          Resource = flatten([for arn in try(local.trail_query.athena.bucket_arns, []) : [arn, "${arn}/*"]])
        },
      ] : statement if try(local.trail_query.athena, null) != null
    ],
    [
      for statement in [{
        Sid      = "TrailQuery"
        Effect   = "Allow"
        Action   = ["cloudtrail:StartQuery", "cloudtrail:DescribeQuery", "cloudtrail:GetQueryResults", "cloudtrail:CancelQuery"]
        Resource = try(local.trail_query.lake.event_data_store_arn, "")
      }] : statement if try(local.trail_query.lake, null) != null
    ],
  )
}

module "function" {
  source   = "./modules/function"
  for_each = { for key, what in local.functions : key => what if var.create }

  playbook           = each.value.playbook
  job                = local.jobs[each.value.job].name
  handler            = local.jobs[each.value.job].handler
  member_role        = local.jobs[each.value.job].member_role
  description        = local.jobs[each.value.job].description
  alarm              = local.jobs[each.value.job].alarm
  evidence_actions   = local.jobs[each.value.job].evidence_actions
  more_statements    = concat(local.more_statements[each.value.job], local.former_key_statements, [for statement in local.trail_query_statements : statement if each.key == "iam_principal/collector"], [for key, statement in local.identity_center_statements : statement if key == each.key])
  topic_arns         = local.jobs[each.value.job].tells ? local.topic_arns : null
  topic_keys         = local.topic_keys
  zip                = "${path.module}/lambda_src/dist/${local.jobs[each.value.job].name}_${each.value.playbook}.zip"
  name_prefix        = var.name_prefix
  environment        = merge(module.incident[0].function_environment, { for key, role in local.identity_center_roles : "GDR_IDENTITY_CENTER_ROLE" => role if key == each.key }, { for job in ["monitor"] : "GDR_INCIDENT_MACHINE_ARN" => module.incident[0].machine_arns.incident if job == each.value.job })
  table_arn          = module.incident[0].table_arn
  bucket_arn         = module.incident[0].bucket_arn
  alarm_topic_arn    = local.topic_arns.notifications
  kms_key_arn        = local.kms_key_arn
  organization_id    = var.organization_id
  arn_base           = local.arn_base
  iam                = local.iam_settings
  functions          = local.functions_settings
  log_retention_days = local.evidence_settings.log_retention_days
  tags               = var.tags

  # Monitoring is invoked as an event by the reconciler, all others by who waits for the answer; but for the one step of
  # the function that contains which the reconciler has run, as an event, by an alias.
  step_aliases         = each.value.job == "playbook" ? ["expire"] : []
  asynchronous         = each.value.job == "monitor"
  reserved_concurrency = each.value.job == "monitor" ? local.watch_settings.reserved_concurrency : null
}
