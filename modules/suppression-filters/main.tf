# GuardDuty accepts filters only one after another. Rank n is refused unless the ranks 1 to n-1 exist ("the parameter
# rank is out-of-bounds"), and two parallel creations take each other's rank. Terraform creates the instances of one
# resource in parallel, so each rank is a module call of its own that waits for the rank before it. A destroy goes
# from the last to the first. A position without a filter creates nothing.

module "rank_01" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 1
  filters     = var.filters
  tags        = var.tags
}

module "rank_02" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 2
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_01]
}

module "rank_03" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 3
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_02]
}

module "rank_04" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 4
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_03]
}

module "rank_05" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 5
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_04]
}

module "rank_06" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 6
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_05]
}

module "rank_07" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 7
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_06]
}

module "rank_08" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 8
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_07]
}

module "rank_09" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 9
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_08]
}

module "rank_10" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 10
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_09]
}

module "rank_11" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 11
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_10]
}

module "rank_12" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 12
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_11]
}

module "rank_13" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 13
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_12]
}

module "rank_14" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 14
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_13]
}

module "rank_15" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 15
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_14]
}

module "rank_16" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 16
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_15]
}

module "rank_17" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 17
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_16]
}

module "rank_18" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 18
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_17]
}

module "rank_19" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 19
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_18]
}

module "rank_20" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 20
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_19]
}

module "rank_21" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 21
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_20]
}

module "rank_22" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 22
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_21]
}

module "rank_23" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 23
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_22]
}

module "rank_24" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 24
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_23]
}

module "rank_25" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 25
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_24]
}

module "rank_26" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 26
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_25]
}

module "rank_27" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 27
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_26]
}

module "rank_28" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 28
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_27]
}

module "rank_29" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 29
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_28]
}

module "rank_30" {
  source      = "./filter"
  detector_id = var.detector_id
  rank        = 30
  filters     = var.filters
  tags        = var.tags
  depends_on  = [module.rank_29]
}
