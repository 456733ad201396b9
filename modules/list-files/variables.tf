variable "kind" {
  description = "What the lists hold: addresses, or entities (addresses and domains)."
  type        = string
  nullable    = false
}

variable "name_prefix" {
  description = "Prefix of the bucket's name."
  type        = string
  nullable    = false
}

variable "arn_base" {
  description = "partition, region and account_id of the detector."
  type        = object({ partition = string, region = string, account_id = string })
  nullable    = false
}

variable "lists" {
  description = "Maps trusted/name and threat/name to a list: entries to write, or location and format of a file that exists."
  type = map(object({
    entries      = optional(list(string))
    location     = optional(string)
    format       = optional(string)
    bucket_owner = optional(string)
  }))
  nullable = false

  validation {
    condition     = alltrue([for key in keys(var.lists) : can(regex("^(trusted|threat)/${local.rules.name}$", key))])
    error_message = "The name of a list is ${local.rules.names}; wrong: ${join(", ", [for key in keys(var.lists) : "\"${key}\"" if !can(regex("^(trusted|threat)/${local.rules.name}$", key))])}."
  }
  validation {
    condition     = alltrue([for list in values(var.lists) : list.entries == null ? list.location != null && list.format != null : list.location == null && list.format == null && list.bucket_owner == null])
    error_message = "A list needs either ${var.kind}, or location and format, and not both; wrong: ${join(", ", [for key, list in var.lists : key if !(list.entries == null ? list.location != null && list.format != null : list.location == null && list.format == null && list.bucket_owner == null)])}."
  }
  validation {
    condition     = alltrue([for list in values(var.lists) : list.format == null ? true : contains(["TXT", "STIX", "OTX_CSV", "ALIEN_VAULT", "PROOF_POINT", "FIRE_EYE"], list.format)])
    error_message = "The format of a list is TXT, STIX, OTX_CSV, ALIEN_VAULT, PROOF_POINT or FIRE_EYE; wrong: ${join(", ", [for key, list in var.lists : "${key}: ${list.format}" if list.format == null ? false : !contains(["TXT", "STIX", "OTX_CSV", "ALIEN_VAULT", "PROOF_POINT", "FIRE_EYE"], list.format)])}."
  }
  validation {
    condition     = alltrue([for list in values(var.lists) : list.location == null ? true : can(regex("^${local.rules.scheme}://[^/\\s]+/\\S+$", list.location))])
    error_message = "The location of a list is the ${local.rules.location}; wrong: ${join(", ", [for key, list in var.lists : "${key}: ${list.location}" if list.location == null ? false : !can(regex("^${local.rules.scheme}://[^/\\s]+/\\S+$", list.location))])}."
  }
  validation {
    condition     = alltrue([for key, list in var.lists : list.entries == null ? true : length(list.entries) >= 1 && length(list.entries) <= local.rules.maximum[split("/", key)[0]]])
    error_message = "A trusted list holds 1 to ${local.rules.maximum.trusted} ${var.kind}, a threat list 1 to ${local.rules.maximum.threat}; wrong: ${join(", ", [for key, list in var.lists : "${key} has ${length(list.entries)}" if list.entries == null ? false : length(list.entries) < 1 || length(list.entries) > local.rules.maximum[split("/", key)[0]]])}. Take out an empty list, and shorten or split a longer one."
  }
  validation {
    condition     = alltrue(flatten([for list in values(var.lists) : [for entry in coalesce(list.entries, []) : (local.rules.domains && can(regex("^(([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)[.])+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]$", entry))) || (!strcontains(entry, ":") && can(cidrhost(strcontains(entry, "/") ? entry : "${entry}/32", 0)) && !endswith(entry, "/0"))]]))
    error_message = "${var.kind} are ${local.rules.entries}; wrong: ${join(", ", flatten([for key, list in var.lists : [for entry in coalesce(list.entries, []) : "${key}: ${entry}" if !((local.rules.domains && can(regex("^(([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)[.])+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]$", entry))) || (!strcontains(entry, ":") && can(cidrhost(strcontains(entry, "/") ? entry : "${entry}/32", 0)) && !endswith(entry, "/0")))]]))}."
  }
}

variable "tags" {
  description = "Tags of the bucket."
  type        = map(string)
  default     = {}
  nullable    = false
}
