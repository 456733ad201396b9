# An auto incident with nothing before containment.

remediations = { "CryptoCurrency:EC2/*" = "auto" }

circuit_breaker = { targets = 1000 } # so many incidents in an hour would ask a person

evidence = {
  force_destroy = true
}
