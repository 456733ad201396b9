variable "region" {
  description = "The Region in which GuardDuty and its response run."
  type        = string
  default     = "eu-central-1"
}

variable "force_destroy" {
  description = "Destroys the bucket with the evidence in it."
  type        = bool
  default     = false
}
