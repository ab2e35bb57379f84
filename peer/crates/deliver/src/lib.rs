//! Deliver: the block streaming service of peer and orderer, and the client that follows an orderer.
