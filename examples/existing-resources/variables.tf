variable "region" {
  description = "The Region GuardDuty and its response run in."
  type        = string
  default     = "eu-central-1"
}

variable "force_destroy" {
  description = "Destroys the bucket with the evidence in it."
  type        = bool
  default     = false
}
