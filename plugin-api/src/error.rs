//! What a plugin answers when it refuses or fails.

use abi_stable::StableAbi;
use abi_stable::std_types::{RResult, RString, RVec, Tuple2};
use std::fmt;

/// Open-ended list of named byte values, so that a closed struct can still carry more later.
pub type Ext = RVec<Tuple2<RString, RVec<u8>>>;

/// What went wrong: 0 to 16 are the gRPC status codes, from 1000 on they belong to this contract.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u32);

impl Code {
    /// gRPC `UNKNOWN`, which is how a plain error of Fabric's own filters reaches a client.
    pub const UNKNOWN: Self = Self(2);
    /// gRPC `INVALID_ARGUMENT`.
    pub const INVALID_ARGUMENT: Self = Self(3);
    /// gRPC `PERMISSION_DENIED`.
    pub const PERMISSION_DENIED: Self = Self(7);
    /// gRPC `RESOURCE_EXHAUSTED`.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    /// gRPC `INTERNAL`.
    pub const INTERNAL: Self = Self(13);
    /// gRPC `UNAVAILABLE`.
    pub const UNAVAILABLE: Self = Self(14);
    /// gRPC `UNAUTHENTICATED`.
    pub const UNAUTHENTICATED: Self = Self(16);
    /// The plugin's code panicked; the panic was caught at its border.
    pub const PANIC: Self = Self(1000);
    /// The plugin cannot be constructed from its configuration.
    pub const CONFIG: Self = Self(1001);
    /// The plugin did not answer in time.
    pub const TIMEOUT: Self = Self(1002);
    /// The plugin is switched off for a while after repeated failures.
    pub const OPEN: Self = Self(1003);
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({})", self.0)
    }
}

/// An error as it crosses the border.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq, Eq)]
pub struct PluginError {
    /// What kind of error it is.
    pub code: Code,
    /// The text for the client or the operator.
    pub message: RString,
    /// Room for later.
    pub ext: Ext,
}

impl PluginError {
    /// An error with this code and text.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: RString::from(message.into()),
            ext: Ext::new(),
        }
    }

    /// The error of a constructor that does not like its configuration.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Code::CONFIG, message)
    }

    /// A refusal that a client sees as gRPC `UNKNOWN`, like a plain error of Fabric's own filters.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Code::UNKNOWN, message)
    }

    /// A refusal that a client sees as gRPC `PERMISSION_DENIED`.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(Code::PERMISSION_DENIED, message)
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PluginError {}

/// A result as it crosses the border.
pub type Res<T> = RResult<T, PluginError>;

/// A result as authors write it.
pub type Result<T> = std::result::Result<T, PluginError>;
