variable "detector_id" {
  description = "Id of the detector."
  type        = string
  nullable    = false
}

variable "rank" {
  description = "Rank of the filter, and its position in filters (1 is the first)."
  type        = number
  nullable    = false
}

variable "filters" {
  description = "All filters, as in modules/suppression-filters. Nothing is created if there are fewer than rank."
  type = list(object({
    name        = string
    description = optional(string)
    criteria    = map(map(list(string)))
  }))
  nullable = false
}

variable "tags" {
  description = "Tags of the filter."
  type        = map(string)
  nullable    = false
}
