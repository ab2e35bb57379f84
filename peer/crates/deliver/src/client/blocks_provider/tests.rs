//! Following orderers that misbehave.
