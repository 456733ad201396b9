variable "name_prefix" {
  description = "Prefix of the document's name."
  type        = string
  nullable    = false
}

variable "account_ids" {
  description = "Accounts that the document is shared with: those with instances, except the account in which it is created. At most 1,000 (AWS)."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.account_ids) <= 1000 && alltrue([for id in var.account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "account_ids are account ids of twelve digits, at most 1,000 (a quota of AWS that can be raised). \"All\" would make the document public."
  }
}

variable "packet_capture_seconds" {
  description = "Seconds of packet capture (at most 20 MiB), in parallel to everything else. 0 means none."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.packet_capture_seconds >= 0 && var.packet_capture_seconds <= 600 && floor(var.packet_capture_seconds) == var.packet_capture_seconds
    error_message = "packet_capture_seconds is a whole number from 0 to 600."
  }
}

variable "memory" {
  description = <<-EOT
    Memory acquisition tools (AVML for Linux, WinPmem for Windows): the address of each, https:// or s3://<evidence
    bucket>/tools/…, and its SHA-256, which is checked before it runs. null means no memory dump.
  EOT
  type        = map(map(string))
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.memory), ["linux", "windows"])) == 0
    error_message = "memory has no ${join(", ", setsubtract(keys(var.memory), ["linux", "windows"]))}: its keys are linux and windows."
  }
  validation {
    condition     = alltrue([for tool in values(var.memory) : length(setsubtract(try(keys(tool), []), ["location", "sha256"])) == 0])
    error_message = "memory.linux and memory.windows have no ${join(", ", distinct(flatten([for tool in values(var.memory) : [for key in setsubtract(try(keys(tool), []), ["location", "sha256"]) : key]])))}: their keys are location and sha256."
  }
  validation {
    condition = alltrue([
      for tool in values(var.memory) : tool == null || (
        can(regex("^(https://[A-Za-z0-9%&=._~+/:?@,-]+|s3://[a-z0-9.-]+/tools/[A-Za-z0-9._/-]+)$", try(tool.location, ""))) &&
        can(regex("^[0-9a-f]{64}$", try(tool.sha256, "")))
      )
    ])
    error_message = "memory.linux and memory.windows need a location (https://…, or s3://<evidence bucket>/tools/…, of plain URL characters) and a sha256 of 64 lower-case hexadecimal digits."
  }
}

variable "commands" {
  description = <<-EOT
    Your own commands. They run last, 60 s each: on Linux with bash (sh if there is none), on Windows with PowerShell.
    They run as root or SYSTEM on a suspicious instance, so let them only read. Put no secret into them, because the
    document is readable in every account that it is shared with.
  EOT
  type        = map(list(string))
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.commands), ["linux", "windows"])) == 0
    error_message = "commands has no ${join(", ", setsubtract(keys(var.commands), ["linux", "windows"]))}: its keys are linux and windows."
  }
}

variable "timeout" {
  description = "Seconds that the scripts may take at most. The plan of a collection may say less."
  type        = number
  default     = 1800
  nullable    = false

  validation {
    condition     = var.timeout >= 60 && var.timeout <= 43200 && floor(var.timeout) == var.timeout
    error_message = "timeout is a whole number of seconds from 60 to 43,200."
  }
}

variable "tags" {
  description = "Tags of the document."
  type        = map(string)
  default     = {}
  nullable    = false
}
