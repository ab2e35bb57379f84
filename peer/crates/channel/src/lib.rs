//! The channels a peer has joined: ledger, configuration, ACLs and the commit pipeline.
