//! Chaincode support: packages, launch, registration and the chaincode stream.
