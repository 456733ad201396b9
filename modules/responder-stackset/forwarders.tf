# The forwarders of the member accounts, in every Region that is named: what modules/region-forwarder creates, as
# CloudFormation. They come after the roles. The security account may be in an OU; it forwards nothing to itself, and its
# other Regions have modules/region.

locals {
  forwards = length(var.forwarder_regions) > 0

  rule_ids = { for key in keys(module.forwarder.rules) : key => "${join("", [for word in regexall("[a-z0-9]+", key) : title(word)])}Rule" }
  # Each with its properties; the rest is the same for all.
  forwarder_resources = merge(
    {
      for key, rule in module.forwarder.rules : local.rule_ids[key] => {
        Type = "AWS::Events::Rule"
        Properties = {
          Name         = rule.name
          Description  = rule.description
          EventPattern = jsondecode(rule.pattern)
          Targets = [{
            Id               = module.forwarder.target.id
            Arn              = module.forwarder.target.arn
            RoleArn          = { "Fn::GetAtt" = ["ForwarderRole", "Arn"] }
            DeadLetterConfig = { Arn = { "Fn::GetAtt" = ["UndeliveredQueue", "Arn"] } }
            RetryPolicy = {
              MaximumEventAgeInSeconds = module.forwarder.target.maximum_event_age_in_seconds
              MaximumRetryAttempts     = module.forwarder.target.maximum_retry_attempts
            }
          }]
        }
      }
    },
    {
      ForwarderRole = {
        Type = "AWS::IAM::Role"
        Properties = merge(
          {
            RoleName                 = module.forwarder.role.name
            Description              = module.forwarder.role.description
            Path                     = module.forwarder.role.path
            AssumeRolePolicyDocument = jsondecode(module.forwarder.role.trust_policy)
            Policies                 = [{ PolicyName = module.forwarder.role.policy_name, PolicyDocument = jsondecode(module.forwarder.role.policy) }]
          },
          { for name, value in { PermissionsBoundary = local.boundary } : name => value if value != null },
          local.tags_property,
        )
      }
      UndeliveredQueue = {
        Type = "AWS::SQS::Queue"
        Properties = merge(
          {
            QueueName              = module.forwarder.queue.name
            MessageRetentionPeriod = module.forwarder.queue.message_retention_seconds
            SqsManagedSseEnabled   = true
          },
          local.tags_property,
        )
      }
      UndeliveredQueuePolicy = {
        Type       = "AWS::SQS::QueuePolicy"
        Properties = { Queues = [{ Ref = "UndeliveredQueue" }], PolicyDocument = jsondecode(module.forwarder.queue.policy) }
      }
      UndeliveredAlarm = {
        Type = "AWS::CloudWatch::Alarm"
        Properties = merge(
          {
            AlarmName          = module.forwarder.alarm.name
            AlarmDescription   = module.forwarder.alarm.description
            Namespace          = module.forwarder.alarm.namespace
            MetricName         = module.forwarder.alarm.metric_name
            Dimensions         = [{ Name = "QueueName", Value = { "Fn::GetAtt" = ["UndeliveredQueue", "QueueName"] } }]
            Statistic          = module.forwarder.alarm.statistic
            Period             = module.forwarder.alarm.period
            EvaluationPeriods  = module.forwarder.alarm.evaluation_periods
            Threshold          = module.forwarder.alarm.threshold
            ComparisonOperator = module.forwarder.alarm.comparison_operator
            TreatMissingData   = module.forwarder.alarm.treat_missing_data
            AlarmActions       = [for name in var.alarm_topic_names : "arn:${var.for_member_accounts.partition}:sns:$${AWS::Region}:$${AWS::AccountId}:${name}"]
          },
          local.tags_property,
        )
      }
    },
  )

  forwarder_document = jsonencode({
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "GuardDuty response: forwards calls that can undo a containment."
    Conditions               = { MemberAccount = { "Fn::Not" = [{ "Fn::Equals" = [{ Ref = "AWS::AccountId" }, var.for_member_accounts.security_account_id] }] } }
    Resources                = { for name, resource in local.forwarder_resources : name => merge(resource, { Condition = "MemberAccount" }) }
  })
}

module "forwarder" {
  source = "../forwarder"

  # A forwarder of nothing to nowhere, for a template that is not used. That forwarder_regions are given then is refused.
  for_member_accounts = {
    name_prefix = var.for_member_accounts.name_prefix
    iam_path    = var.for_member_accounts.iam_path
    forwarder   = var.for_member_accounts.forwarder == null ? { event_bus_arn = "arn:aws:events:none:none:event-bus/default", rules = {} } : var.for_member_accounts.forwarder
  }
  account_id = "$${AWS::AccountId}"
  region     = "$${AWS::Region}"
}

resource "aws_cloudformation_stack_set" "forwarders" {
  count = local.forwards ? 1 : 0

  name             = "${local.name}-forwarders"
  description      = "GuardDuty response: forwards calls that can undo a containment to account ${var.for_member_accounts.security_account_id}."
  permission_model = "SERVICE_MANAGED"
  call_as          = var.call_as
  capabilities     = ["CAPABILITY_NAMED_IAM"]
  template_body    = local.templates.forwarders
  tags             = var.tags

  auto_deployment {
    enabled                          = local.auto_deployment.enabled
    retain_stacks_on_account_removal = local.auto_deployment.enabled ? local.auto_deployment.retain_on_account_removal : null
  }

  managed_execution {
    active = true
  }

  operation_preferences {
    failure_tolerance_percentage = local.operation_preferences.failure_tolerance_percentage
    max_concurrent_percentage    = local.operation_preferences.max_concurrent_percentage
    region_concurrency_type      = "PARALLEL"
  }

  # Hundreds of accounts, each in every Region
  timeouts {
    update = "3h"
  }

  lifecycle {
    # As of the roles' StackSet.
    ignore_changes = [administration_role_arn]

    precondition {
      condition     = length(regexall("${local.string}:", local.documents.forwarders)) == 0
      error_message = "An event pattern or a policy has a placeholder in a key, where CloudFormation puts nothing in."
    }
  }

  depends_on = [aws_cloudformation_stack_set_instance.this]
}

# One operation for all Regions. The provider takes a change of the accounts for accounts to delete, also where the filter
# is DIFFERENCE; a replacement does what is meant.
resource "terraform_data" "forwarder_accounts" {
  count = local.forwards ? 1 : 0

  input = local.accounts
}

resource "aws_cloudformation_stack_instances" "forwarders" {
  count = local.forwards ? 1 : 0

  stack_set_name = aws_cloudformation_stack_set.forwarders[0].name
  call_as        = var.call_as
  regions        = var.forwarder_regions
  retain_stacks  = var.retain_stacks

  deployment_targets {
    organizational_unit_ids = values(var.organizational_units)
    account_filter_type     = local.accounts.filter == "NONE" ? null : local.accounts.filter
    accounts                = local.accounts.filter == "NONE" ? null : local.accounts.ids
  }

  operation_preferences {
    failure_tolerance_percentage = local.operation_preferences.failure_tolerance_percentage
    max_concurrent_percentage    = local.operation_preferences.max_concurrent_percentage
    region_concurrency_type      = "PARALLEL"
  }

  timeouts {
    create = "3h"
    update = "3h"
    delete = "3h"
  }

  lifecycle {
    replace_triggered_by = [terraform_data.forwarder_accounts[0]]
    # As of the roles' instances.
    ignore_changes = [operation_preferences]
  }
}
