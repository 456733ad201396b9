variable "detector_id" {
  description = "Id of the detector of the account that administers GuardDuty. Its filters apply to members too."
  type        = string
  nullable    = false
}

variable "filters" {
  description = <<-EOT
    Suppression filters in their order; the position in the list is the rank. criteria maps a field of the finding
    (type, severity, accountId, resource.instanceDetails.tags.value, …) to an operator (equals, not_equals,
    greater_than, greater_than_or_equal, less_than, less_than_or_equal) and its values. All fields must match, and
    with several values of equals one of them.
    A finding that matches is archived on arrival. It is neither notified nor answered nor exported, whatever the mode
    of its type. Add new filters at the end: removing or inserting one in the middle replaces all that follow, and for
    these seconds their findings are not suppressed. Filters that were created elsewhere share the ranks, so import or
    remove them.
  EOT
  type = list(object({
    name        = string
    description = optional(string)
    criteria    = map(map(list(string)))
  }))
  default  = []
  nullable = false

  validation {
    condition     = length(var.filters) <= 30
    error_message = "There are ${length(var.filters)} suppression filters; this module has room for 30 (GuardDuty takes 100 per Region, but only one after another, and each place in that chain is written out). Join filters: equals takes up to 50 values."
  }
  validation {
    condition     = alltrue([for filter in var.filters : can(regex("^[A-Za-z0-9._-]{3,64}$", filter.name))])
    error_message = "The name of a suppression filter is 3 to 64 letters, digits, dots, underscores and hyphens; wrong: ${join(", ", [for filter in var.filters : "\"${filter.name}\"" if !can(regex("^[A-Za-z0-9._-]{3,64}$", filter.name))])}."
  }
  validation {
    condition     = length(distinct(var.filters[*].name)) == length(var.filters)
    error_message = "Suppression filters need different names; more than once: ${join(", ", distinct([for filter in var.filters : filter.name if length([for other in var.filters : other if other.name == filter.name]) > 1]))}."
  }
  validation {
    condition     = alltrue([for filter in var.filters : filter.description == null ? true : can(regex("^[A-Za-z0-9 \\t\\n\\v\\f\\r/_:.(){}\\[\\]-]{0,512}$", filter.description))])
    error_message = "The description of a suppression filter is at most 512 letters, digits, spaces and - . : _ / ( ) [ ] { }; wrong: ${join(", ", [for filter in var.filters : filter.name if filter.description != null && !can(regex("^[A-Za-z0-9 \\t\\n\\v\\f\\r/_:.(){}\\[\\]-]{0,512}$", filter.description))])}."
  }
  validation {
    condition     = alltrue([for filter in var.filters : length(filter.criteria) >= 1 && length(filter.criteria) <= 50])
    error_message = "A suppression filter needs 1 to 50 fields in criteria (one without any would archive every finding); wrong: ${join(", ", [for filter in var.filters : filter.name if length(filter.criteria) < 1 || length(filter.criteria) > 50])}."
  }
  validation {
    condition     = alltrue(flatten([for filter in var.filters : [for field in keys(filter.criteria) : can(regex("^[a-z][A-Za-z0-9]*(\\.[A-Za-z0-9]+)*$", field))]]))
    error_message = "A field in criteria is a path into the finding, such as type, severity or resource.instanceDetails.instanceId; wrong: ${join(", ", flatten([for filter in var.filters : [for field in keys(filter.criteria) : "${filter.name}: ${field}" if !can(regex("^[a-z][A-Za-z0-9]*(\\.[A-Za-z0-9]+)*$", field))]]))}."
  }
  validation {
    condition = alltrue(flatten([
      for filter in var.filters : [
        for operators in values(filter.criteria) : concat(
          [length(operators) > 0],
          [for operator in keys(operators) : contains(["equals", "not_equals", "greater_than", "greater_than_or_equal", "less_than", "less_than_or_equal"], operator)],
        )
      ]
    ]))
    error_message = "An operator in criteria is equals, not_equals, greater_than, greater_than_or_equal, less_than or less_than_or_equal (matches and not_matches are not in version 5 of the AWS provider); wrong: ${join(", ", flatten([for filter in var.filters : [for field, operators in filter.criteria : length(operators) == 0 ? ["${filter.name}: ${field} without an operator"] : [for operator in keys(operators) : "${filter.name}: ${field}: ${operator}" if !contains(["equals", "not_equals", "greater_than", "greater_than_or_equal", "less_than", "less_than_or_equal"], operator)]]]))}."
  }
  validation {
    condition = alltrue(flatten([
      for filter in var.filters : [
        for operators in values(filter.criteria) : [
          for operator, values in operators : length(values) >= 1 && length(values) <= (endswith(operator, "equals") ? 50 : 1)
        ]
      ]
    ]))
    error_message = "equals and not_equals take 1 to 50 values, the others exactly one; wrong: ${join(", ", flatten([for filter in var.filters : [for field, operators in filter.criteria : [for operator, values in operators : "${filter.name}: ${field}: ${operator} has ${length(values)}" if length(values) < 1 || length(values) > (endswith(operator, "equals") ? 50 : 1)]]]))}."
  }
}

variable "tags" {
  description = "Tags of the filters."
  type        = map(string)
  default     = {}
  nullable    = false
}
