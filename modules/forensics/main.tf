# Internal: the root module and modules/region call this module. Its variables may change in any release.
#
# The document that Systems Manager runs on an instance. A document belongs to one Region, so every Region with
# instances needs its own.

locals {
  scripts = "${path.module}/../../playbooks/ec2_instance/forensics"

  # The scripts are files that run without changes. What is configured is assigned above them. Nothing needs quoting:
  # commands are in base64, and everything else is a number or validated as plain characters (variables.tf).
  linux_settings = [
    "#!/bin/sh",
    "GDR_PLAN_URL='{{ PlanUrl }}'",
    "GDR_TIMEOUT='${var.timeout}'",
    "GDR_CAPTURE_SECONDS='${var.packet_capture_seconds}'",
    "GDR_COMMANDS='${join(" ", [for command in coalesce(lookup(var.commands, "linux", null), []) : base64encode(command)])}'",
    "GDR_MEMORY_LOCATION='${local.download.linux}'",
    "GDR_MEMORY_SHA256='${try(var.memory.linux.sha256, "")}'",
  ]
  windows_settings = [
    "$GdrPlanUrl = '{{ PlanUrl }}'",
    "$GdrTimeout = ${var.timeout}",
    "$GdrCaptureSeconds = ${var.packet_capture_seconds}",
    "$GdrCommands = @(${join(", ", [for command in coalesce(lookup(var.commands, "windows", null), []) : "'${base64encode(command)}'"])})",
    "$GdrMemoryLocation = '${local.download.windows}'",
    "$GdrMemorySha256 = '${try(var.memory.windows.sha256, "")}'",
  ]

  # A tool in the evidence bucket is read through a presigned URL of the upload plan, never with the instance's own
  # role.
  download = {
    for platform in ["linux", "windows"] :
    platform => try(startswith(var.memory[platform].location, "https://"), false) ? var.memory[platform].location : ""
  }

  content = jsonencode({
    schemaVersion = "2.2"
    description   = "Collects volatile evidence of an instance under suspicion and uploads it to the evidence bucket of ${var.name_prefix}. Reads only."
    parameters = {
      PlanUrl = {
        type        = "String"
        description = "Where the upload plan lies: a presigned URL, a secret."
        # Only plain URL characters are allowed, so nothing can end the single quotes around the URL. The loopback
        # address is for local emulators. On an instance, it leads to the instance itself.
        allowedPattern = "^(https://[A-Za-z0-9.-]+|http://127\\.0\\.0\\.1:[0-9]{2,5})/[A-Za-z0-9._~%/-]+/plan\\.txt\\?[A-Za-z0-9%&=._~+/-]+$"
      }
    }
    mainSteps = [
      {
        action       = "aws:runShellScript"
        name         = "linux"
        precondition = { StringEquals = ["platformType", "Linux"] }
        inputs = {
          timeoutSeconds = tostring(var.timeout + 60)
          runCommand     = concat(local.linux_settings, split("\n", trimspace(file("${local.scripts}/linux.sh"))))
        }
      },
      {
        action       = "aws:runPowerShellScript"
        name         = "windows"
        precondition = { StringEquals = ["platformType", "Windows"] }
        inputs = {
          timeoutSeconds = tostring(var.timeout + 60)
          runCommand     = concat(local.windows_settings, split("\n", trimspace(file("${local.scripts}/windows.ps1"))))
        }
      },
    ]
  })
}

resource "aws_ssm_document" "this" {
  name            = "${var.name_prefix}-forensics"
  document_type   = "Command"
  document_format = "JSON"
  target_type     = "/AWS::EC2::Instance"
  content         = local.content
  permissions     = length(var.account_ids) == 0 ? null : { type = "Share", account_ids = join(",", sort(var.account_ids)) }
  tags            = var.tags

  lifecycle {
    precondition {
      condition     = length(local.content) <= 65536
      error_message = "The forensics document is ${length(local.content)} characters long; Systems Manager takes 65,536. Shorten forensics.commands: let them run a script that is on the instances already."
    }
  }
}
