//! [`PluginMod`]: the root module, the one table that a plugin exports.

#![allow(non_camel_case_types, reason = "names that abi_stable makes up")]

use crate::auth::AuthFilterObject;
use crate::decoration::DecoratorObject;
use crate::endorsement::EndorsementObject;
use crate::error::Res;
use crate::host::Init;
use crate::platform::PlatformObject;
use crate::validation::ValidationObject;
use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{ROption, RString};

/// Constructor of an auth filter.
pub type NewAuthFilter = extern "C" fn(Init<'_>) -> Res<AuthFilterObject>;
/// Constructor of a decorator.
pub type NewDecorator = extern "C" fn(Init<'_>) -> Res<DecoratorObject>;
/// Constructor of a platform.
pub type NewPlatform = extern "C" fn(Init<'_>) -> Res<PlatformObject>;
/// Constructor of an endorsement plugin.
pub type NewEndorsement = extern "C" fn(Init<'_>) -> Res<EndorsementObject>;
/// Constructor of a validation plugin.
pub type NewValidation = extern "C" fn(Init<'_>) -> Res<ValidationObject>;

/// What a plugin exports. Later minor versions append fields and change nothing else.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginMod_Ref)))]
#[sabi(missing_field(option))]
pub struct PluginMod {
    /// Name, version, description and configuration schema as JSON.
    pub metadata_json: extern "C" fn() -> RString,
    /// Makes an auth filter.
    pub new_auth_filter: ROption<extern "C" fn(Init<'_>) -> Res<AuthFilterObject>>,
    /// Makes a decorator.
    pub new_decorator: ROption<extern "C" fn(Init<'_>) -> Res<DecoratorObject>>,
    /// Makes a platform.
    #[sabi(last_prefix_field)]
    pub new_platform: ROption<extern "C" fn(Init<'_>) -> Res<PlatformObject>>,
    /// Makes an endorsement plugin. Absent from plugins of 1.0.
    pub new_endorsement: ROption<extern "C" fn(Init<'_>) -> Res<EndorsementObject>>,
    /// Makes a validation plugin. Absent from plugins of 1.0.
    pub new_validation: ROption<extern "C" fn(Init<'_>) -> Res<ValidationObject>>,
}

impl RootModule for PluginMod_Ref {
    abi_stable::declare_root_module_statics! {PluginMod_Ref}
    const BASE_NAME: &'static str = "fabric_peer_plugin";
    const NAME: &'static str = "fabric_peer_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
