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
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for list in try(values(var.trusted), ["no map"]) : length(setsubtract(try(keys(list), ["no object"]), ["entities", "location", "format", "bucket_owner"])) == 0])
    error_message = "trusted must map names to objects with the keys entities, location, format and bucket_owner; wrong: ${join(", ", flatten([for name, list in var.trusted : [for key in setsubtract(try(keys(list), ["no object"]), ["entities", "location", "format", "bucket_owner"]) : "${name}: ${key}"]]))}."
  }

  validation {
    condition     = length(var.trusted) <= 1
    error_message = "trusted has ${length(var.trusted)} lists; GuardDuty takes 1 per account and Region. Join lists."
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
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for list in try(values(var.threat), ["no map"]) : length(setsubtract(try(keys(list), ["no object"]), ["entities", "location", "format", "bucket_owner"])) == 0])
    error_message = "threat must map names to objects with the keys entities, location, format and bucket_owner; wrong: ${join(", ", flatten([for name, list in var.threat : [for key in setsubtract(try(keys(list), ["no object"]), ["entities", "location", "format", "bucket_owner"]) : "${name}: ${key}"]]))}."
  }
}

variable "tags" {
  description = "Tags of the bucket, the stacks and the lists."
  type        = map(string)
  default     = {}
  nullable    = false
}
