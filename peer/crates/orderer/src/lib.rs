//! A small ordering service for one machine: Broadcast, Deliver, block cutting and config transactions.
