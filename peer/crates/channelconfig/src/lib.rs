//! Channel configuration: the bundle of a config block, policies, ACLs, config updates and genesis blocks.
