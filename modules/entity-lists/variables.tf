variable "name_prefix" {
  description = "Prefix of the names of the bucket and of the stacks."
  type        = string
  nullable    = false
}

variable "arn_base" {
  description = "partition, region and account_id of the detector."
  type        = object({ partition = string, region = string, account_id = string })
  nullable    = false
}

variable "dns_suffix" {
  description = "The partition's domain: amazonaws.com, or amazonaws.com.cn in China."
  type        = string
  default     = "amazonaws.com"
  nullable    = false
}

variable "detector_id" {
  description = "Id of the detector. In an organization, only the administrator's lists count, and members get them."
  type        = string
  nullable    = false
}

variable "trusted" {
  description = <<-EOT
    Maps the name of a list to addresses and domains that GuardDuty trusts. At most one list in a Region.
    Warning: GuardDuty raises no findings about them in any account, so an intruder who comes from there is not seen.
    A list has either entities (IPv4 addresses, ranges and domains; a private bucket and the file are created here, and a
    change is loaded automatically), or location (https:// of a file in S3) and format (TXT, STIX, OTX_CSV, ALIEN_VAULT,
    PROOF_POINT, FIRE_EYE), and bucket_owner if the bucket is another account's. A file at a location is read once, so
    change the location when the file changes.
  EOT
  type = map(object({
    entities     = optional(list(string))
    location     = optional(string)
    format       = optional(string)
    bucket_owner = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.trusted) <= 1
    error_message = "trusted has ${length(var.trusted)} lists; GuardDuty takes 1 per account and Region. Join lists."
  }
  validation {
    condition     = alltrue([for name in keys(var.trusted) : can(regex("^[A-Za-z0-9-]{1,60}$", name))])
    error_message = "The name of a list is 1 to 60 letters, digits and hyphens; wrong: ${join(", ", [for name in keys(var.trusted) : "\"${name}\"" if !can(regex("^[A-Za-z0-9-]{1,60}$", name))])}."
  }
  validation {
    condition     = alltrue([for list in values(var.trusted) : list.entities == null ? list.location != null && list.format != null : list.location == null && list.format == null && list.bucket_owner == null])
    error_message = "A list needs either entities, or location and format, and not both; wrong: ${join(", ", [for name, list in var.trusted : name if !(list.entities == null ? list.location != null && list.format != null : list.location == null && list.format == null && list.bucket_owner == null)])}."
  }
  validation {
    condition     = alltrue([for list in values(var.trusted) : list.format == null ? true : contains(["TXT", "STIX", "OTX_CSV", "ALIEN_VAULT", "PROOF_POINT", "FIRE_EYE"], list.format)])
    error_message = "The format of a list is TXT, STIX, OTX_CSV, ALIEN_VAULT, PROOF_POINT or FIRE_EYE; wrong: ${join(", ", [for name, list in var.trusted : "${name}: ${list.format}" if list.format == null ? false : !contains(["TXT", "STIX", "OTX_CSV", "ALIEN_VAULT", "PROOF_POINT", "FIRE_EYE"], list.format)])}."
  }
  validation {
    condition     = alltrue([for list in values(var.trusted) : list.location == null ? true : can(regex("^https://[^/\\s]+/\\S+$", list.location))])
    error_message = "The location of a list is the https:// address of a file in S3, such as https://bucket.s3.eu-central-1.amazonaws.com/list.txt; wrong: ${join(", ", [for name, list in var.trusted : "${name}: ${list.location}" if list.location == null ? false : !can(regex("^https://[^/\\s]+/\\S+$", list.location))])}."
  }
  validation {
    condition     = alltrue(flatten([for list in values(var.trusted) : [for entity in coalesce(list.entities, []) : can(regex("^(([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)[.])+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]$", entity)) || (!strcontains(entity, ":") && can(cidrhost(strcontains(entity, "/") ? entity : "${entity}/32", 0)) && !endswith(entity, "/0"))]]))
    error_message = "entities are IPv4 addresses, ranges (never /0) and domains, such as 198.51.100.7, 203.0.113.0/24 or example.com; wrong: ${join(", ", flatten([for name, list in var.trusted : [for entity in coalesce(list.entities, []) : "${name}: ${entity}" if !(can(regex("^(([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)[.])+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]$", entity)) || (!strcontains(entity, ":") && can(cidrhost(strcontains(entity, "/") ? entity : "${entity}/32", 0)) && !endswith(entity, "/0")))]]))}."
  }
  validation {
    condition     = alltrue([for list in values(var.trusted) : list.entities == null ? true : length(list.entities) >= 1 && length(list.entities) <= 1000])
    error_message = "entities holds 1 to 1000 addresses and domains; wrong: ${join(", ", [for name, list in var.trusted : "${name} has ${length(list.entities)}" if list.entities == null ? false : length(list.entities) < 1 || length(list.entities) > 1000])}. Take out a list that is empty, and split one that is longer."
  }
}

variable "threat" {
  description = <<-EOT
    Maps the name of a list to addresses and domains whose traffic raises findings (…:MaliciousIPCaller.Custom,
    Impact:EC2/MaliciousDomainRequest.Custom and similar).
    A list has either entities (IPv4 addresses, ranges and domains; a private bucket and the file are created here, and a
    change is loaded automatically), or location (https:// of a file in S3) and format (TXT, STIX, OTX_CSV, ALIEN_VAULT,
    PROOF_POINT, FIRE_EYE), and bucket_owner if the bucket is another account's. A file at a location is read once, so
    change the location when the file changes.
  EOT
  type = map(object({
    entities     = optional(list(string))
    location     = optional(string)
    format       = optional(string)
    bucket_owner = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.threat) : can(regex("^[A-Za-z0-9-]{1,60}$", name))])
    error_message = "The name of a list is 1 to 60 letters, digits and hyphens; wrong: ${join(", ", [for name in keys(var.threat) : "\"${name}\"" if !can(regex("^[A-Za-z0-9-]{1,60}$", name))])}."
  }
  validation {
    condition     = alltrue([for list in values(var.threat) : list.entities == null ? list.location != null && list.format != null : list.location == null && list.format == null && list.bucket_owner == null])
    error_message = "A list needs either entities, or location and format, and not both; wrong: ${join(", ", [for name, list in var.threat : name if !(list.entities == null ? list.location != null && list.format != null : list.location == null && list.format == null && list.bucket_owner == null)])}."
  }
  validation {
    condition     = alltrue([for list in values(var.threat) : list.format == null ? true : contains(["TXT", "STIX", "OTX_CSV", "ALIEN_VAULT", "PROOF_POINT", "FIRE_EYE"], list.format)])
    error_message = "The format of a list is TXT, STIX, OTX_CSV, ALIEN_VAULT, PROOF_POINT or FIRE_EYE; wrong: ${join(", ", [for name, list in var.threat : "${name}: ${list.format}" if list.format == null ? false : !contains(["TXT", "STIX", "OTX_CSV", "ALIEN_VAULT", "PROOF_POINT", "FIRE_EYE"], list.format)])}."
  }
  validation {
    condition     = alltrue([for list in values(var.threat) : list.location == null ? true : can(regex("^https://[^/\\s]+/\\S+$", list.location))])
    error_message = "The location of a list is the https:// address of a file in S3, such as https://bucket.s3.eu-central-1.amazonaws.com/list.txt; wrong: ${join(", ", [for name, list in var.threat : "${name}: ${list.location}" if list.location == null ? false : !can(regex("^https://[^/\\s]+/\\S+$", list.location))])}."
  }
  validation {
    condition     = alltrue(flatten([for list in values(var.threat) : [for entity in coalesce(list.entities, []) : can(regex("^(([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)[.])+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]$", entity)) || (!strcontains(entity, ":") && can(cidrhost(strcontains(entity, "/") ? entity : "${entity}/32", 0)) && !endswith(entity, "/0"))]]))
    error_message = "entities are IPv4 addresses, ranges (never /0) and domains, such as 198.51.100.7, 203.0.113.0/24 or example.com; wrong: ${join(", ", flatten([for name, list in var.threat : [for entity in coalesce(list.entities, []) : "${name}: ${entity}" if !(can(regex("^(([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)[.])+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]$", entity)) || (!strcontains(entity, ":") && can(cidrhost(strcontains(entity, "/") ? entity : "${entity}/32", 0)) && !endswith(entity, "/0")))]]))}."
  }
  validation {
    condition     = alltrue([for list in values(var.threat) : list.entities == null ? true : length(list.entities) >= 1 && length(list.entities) <= 1000])
    error_message = "entities holds 1 to 1000 addresses and domains; wrong: ${join(", ", [for name, list in var.threat : "${name} has ${length(list.entities)}" if list.entities == null ? false : length(list.entities) < 1 || length(list.entities) > 1000])}. Take out a list that is empty, and split one that is longer."
  }
}

variable "tags" {
  description = "Tags of the bucket, the stacks and the lists."
  type        = map(string)
  default     = {}
  nullable    = false
}
