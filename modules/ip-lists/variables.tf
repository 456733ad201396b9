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

variable "detector_id" {
  description = "Id of the detector. In an organization, only the administrator's lists count, and members get them."
  type        = string
  nullable    = false
}

variable "trusted_ip_lists" {
  description = <<-EOT
    Maps the name of a list to addresses that GuardDuty trusts. At most one list in a Region.
    Warning: GuardDuty raises no findings from VPC flow logs and CloudTrail about these addresses in any account, so
    an intruder who comes from one of them is not seen.
    A list has either addresses (IPv4 addresses and ranges; a private bucket and the file are created here, and a
    change is loaded automatically), or location (s3:// or https:// of a file in S3) and format (TXT, STIX, OTX_CSV,
    ALIEN_VAULT, PROOF_POINT, FIRE_EYE). A file at a location is read once, so change the location when the file
    changes.
  EOT
  type = map(object({
    addresses = optional(list(string))
    location  = optional(string)
    format    = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.trusted_ip_lists) <= 1
    error_message = "trusted_ip_lists has ${length(var.trusted_ip_lists)} lists; GuardDuty takes 1 per account and Region. Join lists: one holds up to 2000 addresses."
  }
  validation {
    condition     = alltrue([for name in keys(var.trusted_ip_lists) : can(regex("^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$", name))])
    error_message = "The name of a list is 1 to 100 letters, digits, spaces, dots, underscores and hyphens; wrong: ${join(", ", [for name in keys(var.trusted_ip_lists) : "\"${name}\"" if !can(regex("^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$", name))])}."
  }
  validation {
    condition     = alltrue([for list in values(var.trusted_ip_lists) : list.addresses == null ? list.location != null && list.format != null : list.location == null && list.format == null])
    error_message = "A list needs either addresses, or location and format, and not both; wrong: ${join(", ", [for name, list in var.trusted_ip_lists : name if !(list.addresses == null ? list.location != null && list.format != null : list.location == null && list.format == null)])}."
  }
  validation {
    condition     = alltrue([for list in values(var.trusted_ip_lists) : list.format == null ? true : contains(["TXT", "STIX", "OTX_CSV", "ALIEN_VAULT", "PROOF_POINT", "FIRE_EYE"], list.format)])
    error_message = "The format of a list is TXT, STIX, OTX_CSV, ALIEN_VAULT, PROOF_POINT or FIRE_EYE; wrong: ${join(", ", [for name, list in var.trusted_ip_lists : "${name}: ${list.format}" if list.format == null ? false : !contains(["TXT", "STIX", "OTX_CSV", "ALIEN_VAULT", "PROOF_POINT", "FIRE_EYE"], list.format)])}."
  }
  validation {
    condition     = alltrue([for list in values(var.trusted_ip_lists) : list.location == null ? true : can(regex("^(s3|https)://[^/\\s]+/\\S+$", list.location))])
    error_message = "The location of a list is the s3:// or https:// address of a file in S3, such as s3://bucket/list.txt; wrong: ${join(", ", [for name, list in var.trusted_ip_lists : "${name}: ${list.location}" if list.location == null ? false : !can(regex("^(s3|https)://[^/\\s]+/\\S+$", list.location))])}."
  }
  validation {
    condition     = alltrue([for list in values(var.trusted_ip_lists) : list.addresses == null ? true : length(list.addresses) >= 1 && length(list.addresses) <= 2000])
    error_message = "addresses holds 1 to 2000 addresses; wrong: ${join(", ", [for name, list in var.trusted_ip_lists : "${name} has ${length(list.addresses)}" if list.addresses == null ? false : length(list.addresses) < 1 || length(list.addresses) > 2000])}. Take out a list that is empty."
  }
  validation {
    condition     = alltrue(flatten([for list in values(var.trusted_ip_lists) : [for address in coalesce(list.addresses, []) : !strcontains(address, ":") && can(cidrhost(strcontains(address, "/") ? address : "${address}/32", 0)) && !endswith(address, "/0")]]))
    error_message = "addresses are IPv4 addresses or ranges, such as 198.51.100.7 or 203.0.113.0/24 (never /0); wrong: ${join(", ", flatten([for name, list in var.trusted_ip_lists : [for address in coalesce(list.addresses, []) : "${name}: ${address}" if strcontains(address, ":") || !can(cidrhost(strcontains(address, "/") ? address : "${address}/32", 0)) || endswith(address, "/0")]]))}."
  }
}

variable "threat_lists" {
  description = <<-EOT
    Maps the name of a list to addresses whose traffic raises findings (…:MaliciousIPCaller.Custom and similar). At
    most six lists in a Region.
    A list has either addresses (IPv4 addresses and ranges; a private bucket and the file are created here, and a
    change is loaded automatically), or location (s3:// or https:// of a file in S3) and format (TXT, STIX, OTX_CSV,
    ALIEN_VAULT, PROOF_POINT, FIRE_EYE). A file at a location is read once, so change the location when the file
    changes.
  EOT
  type = map(object({
    addresses = optional(list(string))
    location  = optional(string)
    format    = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.threat_lists) <= 6
    error_message = "threat_lists has ${length(var.threat_lists)} lists; GuardDuty takes 6 per account and Region. Join lists: one holds up to 250000 addresses."
  }
  validation {
    condition     = alltrue([for name in keys(var.threat_lists) : can(regex("^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$", name))])
    error_message = "The name of a list is 1 to 100 letters, digits, spaces, dots, underscores and hyphens; wrong: ${join(", ", [for name in keys(var.threat_lists) : "\"${name}\"" if !can(regex("^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$", name))])}."
  }
  validation {
    condition     = alltrue([for list in values(var.threat_lists) : list.addresses == null ? list.location != null && list.format != null : list.location == null && list.format == null])
    error_message = "A list needs either addresses, or location and format, and not both; wrong: ${join(", ", [for name, list in var.threat_lists : name if !(list.addresses == null ? list.location != null && list.format != null : list.location == null && list.format == null)])}."
  }
  validation {
    condition     = alltrue([for list in values(var.threat_lists) : list.format == null ? true : contains(["TXT", "STIX", "OTX_CSV", "ALIEN_VAULT", "PROOF_POINT", "FIRE_EYE"], list.format)])
    error_message = "The format of a list is TXT, STIX, OTX_CSV, ALIEN_VAULT, PROOF_POINT or FIRE_EYE; wrong: ${join(", ", [for name, list in var.threat_lists : "${name}: ${list.format}" if list.format == null ? false : !contains(["TXT", "STIX", "OTX_CSV", "ALIEN_VAULT", "PROOF_POINT", "FIRE_EYE"], list.format)])}."
  }
  validation {
    condition     = alltrue([for list in values(var.threat_lists) : list.location == null ? true : can(regex("^(s3|https)://[^/\\s]+/\\S+$", list.location))])
    error_message = "The location of a list is the s3:// or https:// address of a file in S3, such as s3://bucket/list.txt; wrong: ${join(", ", [for name, list in var.threat_lists : "${name}: ${list.location}" if list.location == null ? false : !can(regex("^(s3|https)://[^/\\s]+/\\S+$", list.location))])}."
  }
  validation {
    condition     = alltrue([for list in values(var.threat_lists) : list.addresses == null ? true : length(list.addresses) >= 1 && length(list.addresses) <= 250000])
    error_message = "addresses holds 1 to 250000 addresses; wrong: ${join(", ", [for name, list in var.threat_lists : "${name} has ${length(list.addresses)}" if list.addresses == null ? false : length(list.addresses) < 1 || length(list.addresses) > 250000])}. Take out a list that is empty."
  }
  validation {
    condition     = alltrue(flatten([for list in values(var.threat_lists) : [for address in coalesce(list.addresses, []) : !strcontains(address, ":") && can(cidrhost(strcontains(address, "/") ? address : "${address}/32", 0)) && !endswith(address, "/0")]]))
    error_message = "addresses are IPv4 addresses or ranges, such as 198.51.100.7 or 203.0.113.0/24 (never /0); wrong: ${join(", ", flatten([for name, list in var.threat_lists : [for address in coalesce(list.addresses, []) : "${name}: ${address}" if strcontains(address, ":") || !can(cidrhost(strcontains(address, "/") ? address : "${address}/32", 0)) || endswith(address, "/0")]]))}."
  }
}

variable "tags" {
  description = "Tags of the bucket and the lists."
  type        = map(string)
  default     = {}
  nullable    = false
}
