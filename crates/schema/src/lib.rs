//! Custom resource schemas: pruning, defaulting, structural validation, CEL rules and printer columns. No IO.
