# Home and forwarder with the same playbooks, side by side.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80"
    }
  }
}

variable "name_prefix" {
  type = string
}

variable "event_bus_arn" {
  type = string
}

locals {
  playbooks = ["ec2_instance", "iam_principal"]
}

module "incident" {
  source = "../../../modules/incident"

  name_prefix        = var.name_prefix
  account_id         = "111111111111"
  partition          = "aws"
  config_json        = "{}"
  paused             = false
  act_patterns       = []
  playbook_functions = { for name in local.playbooks : name => { act = "arn:aws:lambda:us-east-1:111111111111:function:${name}" } }
  zips               = { incident = "lambda_src/dist/incident.zip", watchdog = "lambda_src/dist/watchdog.zip" }
  timeout_seconds    = 3600
  topic_arns         = { notifications = "arn:aws:sns:us-east-1:111111111111:a", escalations = "arn:aws:sns:us-east-1:111111111111:a" }
  kms_key_arn        = "arn:aws:kms:us-east-1:111111111111:key/1"
  iam                = { path = "/" }
  functions          = { architecture = "x86_64", memory_size = 1024, vpc = { subnet_ids = [], security_group_ids = [] } }
  evidence           = { create_bucket = false, bucket_arn = "arn:aws:s3:::ours", force_destroy = false, log_retention_days = 30 }
}

module "patterns" {
  source = "../../../modules/event-patterns"

  name_prefix = var.name_prefix
  playbooks   = local.playbooks
}

module "forwarder" {
  source = "../../../modules/region-forwarder"

  for_member_accounts = {
    name_prefix = var.name_prefix
    iam_path    = "/"
    forwarder   = { event_bus_arn = var.event_bus_arn, rules = module.patterns.forwarder_rules }
  }
}

output "same" {
  description = "findings, changes: whether home and forwarder listen to the same."
  value       = { for name, pattern in module.forwarder.event_patterns : name => module.incident.event_patterns[name] == pattern }
}
