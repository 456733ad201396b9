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
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for list in try(values(var.trusted_ip_lists), ["no map"]) : length(setsubtract(try(keys(list), ["no object"]), ["addresses", "location", "format"])) == 0])
    error_message = "trusted_ip_lists must map names to objects with the keys addresses, location and format; wrong: ${join(", ", flatten([for name, list in var.trusted_ip_lists : [for key in setsubtract(try(keys(list), ["no object"]), ["addresses", "location", "format"]) : "${name}: ${key}"]]))}."
  }

  validation {
    condition     = length(var.trusted_ip_lists) <= 1
    error_message = "trusted_ip_lists has ${length(var.trusted_ip_lists)} lists; GuardDuty takes 1 per account and Region. Join lists: one holds up to 2000 addresses."
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
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for list in try(values(var.threat_lists), ["no map"]) : length(setsubtract(try(keys(list), ["no object"]), ["addresses", "location", "format"])) == 0])
    error_message = "threat_lists must map names to objects with the keys addresses, location and format; wrong: ${join(", ", flatten([for name, list in var.threat_lists : [for key in setsubtract(try(keys(list), ["no object"]), ["addresses", "location", "format"]) : "${name}: ${key}"]]))}."
  }

  validation {
    condition     = length(var.threat_lists) <= 6
    error_message = "threat_lists has ${length(var.threat_lists)} lists; GuardDuty takes 6 per account and Region. Join lists: one holds up to 250000 addresses."
  }
}

variable "tags" {
  description = "Tags of the bucket and the lists."
  type        = map(string)
  default     = {}
  nullable    = false
}
