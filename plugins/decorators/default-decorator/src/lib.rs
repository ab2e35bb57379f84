//! Decorator that returns the chaincode input unchanged.
