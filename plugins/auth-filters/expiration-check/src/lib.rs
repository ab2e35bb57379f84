//! Auth filter that rejects creators whose certificate has expired.
