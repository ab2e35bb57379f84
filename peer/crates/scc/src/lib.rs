//! System chaincodes: LSCC, CSCC and QSCC.
