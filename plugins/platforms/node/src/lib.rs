//! Language platform for Node.js chaincode.
