//! [`export_plugin!`](crate::export_plugin) and what it expands to.

use crate::auth::AuthFilterObject;
use crate::decoration::DecoratorObject;
use crate::endorsement::EndorsementObject;
use crate::error::{Code, PluginError, Res, Result};
use crate::guard::guard;
use crate::host::Init;
use crate::platform::PlatformObject;
use crate::validation::ValidationObject;
use crate::{Around, Decorator, Endorsement, Filter, Platform, Validation, log};
use abi_stable::std_types::RString;

/// Runs a constructor inside the fence, with the plugin's log already connected.
pub fn construct<T>(init: Init<'_>, new: impl FnOnce(Init<'_>) -> Result<T>) -> Res<T> {
    guard(move || {
        log::install(&init.host);
        new(init)
    })
}

/// Constructs a [`Filter`].
pub fn filter<T: Filter>(init: Init<'_>, new: impl FnOnce(Init<'_>) -> Result<T>) -> Res<AuthFilterObject> {
    construct(init, |init| new(init).map(crate::filter::filter_object))
}

/// Constructs an [`Around`].
pub fn around<T: Around>(init: Init<'_>, new: impl FnOnce(Init<'_>) -> Result<T>) -> Res<AuthFilterObject> {
    construct(init, |init| new(init).map(crate::around::around_object))
}

/// Constructs a [`Decorator`].
pub fn decorator<T: Decorator>(
    init: Init<'_>,
    new: impl FnOnce(Init<'_>) -> Result<T>,
) -> Res<DecoratorObject> {
    construct(init, |init| new(init).map(crate::decoration::decorator_object))
}

/// Constructs a [`Platform`].
pub fn platform<T: Platform>(init: Init<'_>, new: impl FnOnce(Init<'_>) -> Result<T>) -> Res<PlatformObject> {
    construct(init, |init| new(init).map(crate::platform::platform_object))
}

/// Constructs an [`Endorsement`].
pub fn endorsement<T: Endorsement>(
    init: Init<'_>,
    new: impl FnOnce(Init<'_>) -> Result<T>,
) -> Res<EndorsementObject> {
    construct(init, |init| new(init).map(crate::endorsement::endorsement_object))
}

/// Constructs a [`Validation`].
pub fn validation<T: Validation>(
    init: Init<'_>,
    new: impl FnOnce(Init<'_>) -> Result<T>,
) -> Res<ValidationObject> {
    construct(init, |init| new(init).map(crate::validation::validation_object))
}

/// The metadata of a plugin as JSON.
pub fn metadata_json(name: &str, version: &str, description: &str, schema: &str) -> RString {
    let json = guard(|| {
        let schema: serde_json::Value = serde_json::from_str(schema).map_err(|error| {
            PluginError::new(
                Code::CONFIG,
                format!("the plugin's configuration schema is not JSON: {error}"),
            )
        })?;
        let metadata = serde_json::json!({
            "name": name,
            "version": version,
            "description": description,
            "configSchema": schema,
        });
        Ok(RString::from(metadata.to_string()))
    });
    json.into_result().unwrap_or_else(|error| {
        RString::from(serde_json::json!({ "name": name, "error": error.message.as_str() }).to_string())
    })
}

/// Makes the crate (a `cdylib`) a plugin.
///
/// `name` and `description` say what it is, `config_schema` is the JSON schema that an entry's `config` must
/// fulfil: constants, because they also go into the file as plain data, where the peer reads them without running
/// anything. A path in it that the constructor reads has `"x-read-at-start": true` beside its `type`: a reload constructs
/// the plugin anew when that file has changed, where an entry that is the same as before goes on with its instance. Each kind that the library offers names its constructor, `fn(Init) -> Result<T>`: `filter`
/// (or `around`), `decorator`, `platform`, `endorsement`, `validation`, in this order.
#[macro_export]
macro_rules! export_plugin {
    (
        name: $name:expr,
        description: $description:expr,
        config_schema: $schema:expr
        $(, filter: $filter:expr)?
        $(, around: $around:expr)?
        $(, decorator: $decorator:expr)?
        $(, platform: $platform:expr)?
        $(, endorsement: $endorsement:expr)?
        $(, validation: $validation:expr)?
        $(,)?
    ) => {
        const _: () = {
            const KINDS: u32 = 0
                $(| $crate::__kind!(filter $filter))?
                $(| $crate::__kind!(around $around))?
                $(| $crate::__kind!(decorator $decorator))?
                $(| $crate::__kind!(platform $platform))?
                $(| $crate::__kind!(endorsement $endorsement))?
                $(| $crate::__kind!(validation $validation))?;

            const FLAGS: u32 = (if cfg!(panic = "unwind") { $crate::manifest::FLAG_UNWIND } else { 0 })
                | (if cfg!(debug_assertions) { $crate::manifest::FLAG_DEBUG } else { 0 });

            #[used]
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".fabplug")]
            static FABRIC_PEER_PLUGIN: $crate::manifest::Note =
                $crate::manifest::Note::new(__FABPLUG_NAME, __FABPLUG_VERSION, KINDS, FLAGS);

            // names that no constant of the author has: constants inside of macros are seen by their arguments
            const __FABPLUG_NAME: &str = $name;
            const __FABPLUG_VERSION: &str = env!("CARGO_PKG_VERSION");
            const __FABPLUG_DESCRIPTION: &str = $description;
            const __FABPLUG_SCHEMA: &str = $schema;

            #[used]
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".fabplug.meta")]
            static FABRIC_PEER_PLUGIN_METADATA: $crate::manifest::Metadata<
                { $crate::manifest::escaped_len(__FABPLUG_NAME) },
                { $crate::manifest::escaped_len(__FABPLUG_VERSION) },
                { $crate::manifest::escaped_len(__FABPLUG_DESCRIPTION) },
                { __FABPLUG_SCHEMA.len() },
            > = $crate::manifest::Metadata::new(__FABPLUG_NAME, __FABPLUG_VERSION, __FABPLUG_DESCRIPTION, __FABPLUG_SCHEMA);

            extern "C" fn metadata_json() -> $crate::__abi::RString {
                $crate::export::metadata_json(__FABPLUG_NAME, __FABPLUG_VERSION, __FABPLUG_DESCRIPTION, __FABPLUG_SCHEMA)
            }

            $(extern "C" fn new_filter(init: $crate::Init<'_>) -> $crate::Res<$crate::AuthFilterObject> {
                $crate::export::filter(init, $filter)
            })?
            $(extern "C" fn new_around(init: $crate::Init<'_>) -> $crate::Res<$crate::AuthFilterObject> {
                $crate::export::around(init, $around)
            })?
            $(extern "C" fn new_decorator(init: $crate::Init<'_>) -> $crate::Res<$crate::DecoratorObject> {
                $crate::export::decorator(init, $decorator)
            })?
            $(extern "C" fn new_platform(init: $crate::Init<'_>) -> $crate::Res<$crate::PlatformObject> {
                $crate::export::platform(init, $platform)
            })?
            $(extern "C" fn new_endorsement(init: $crate::Init<'_>) -> $crate::Res<$crate::EndorsementObject> {
                $crate::export::endorsement(init, $endorsement)
            })?
            $(extern "C" fn new_validation(init: $crate::Init<'_>) -> $crate::Res<$crate::ValidationObject> {
                $crate::export::validation(init, $validation)
            })?

            fn root_module() -> $crate::PluginMod_Ref {
                #[allow(unused_mut, reason = "not every plugin has every kind")]
                let mut module = $crate::PluginMod {
                    metadata_json,
                    new_auth_filter: $crate::__abi::ROption::RNone,
                    new_decorator: $crate::__abi::ROption::RNone,
                    new_platform: $crate::__abi::ROption::RNone,
                    new_endorsement: $crate::__abi::ROption::RNone,
                    new_validation: $crate::__abi::ROption::RNone,
                };
                $(module.new_auth_filter = $crate::__constructor!(new_filter $filter);)?
                $(module.new_auth_filter = $crate::__constructor!(new_around $around);)?
                $(module.new_decorator = $crate::__constructor!(new_decorator $decorator);)?
                $(module.new_platform = $crate::__constructor!(new_platform $platform);)?
                $(module.new_endorsement = $crate::__constructor!(new_endorsement $endorsement);)?
                $(module.new_validation = $crate::__constructor!(new_validation $validation);)?
                $crate::__abi::PrefixTypeTrait::leak_into_prefix(module)
            }

            extern "C" fn erased_root_module() -> $crate::__abi::RootModuleResult {
                $crate::__abi::__call_root_module_loader(root_module)
            }

            // SAFETY: `root_module` returns the very type that the header names.
            // JUSTIFICATION: abi_stable has no safe way to make a header in a constant.
            #[unsafe(no_mangle)]
            static FABRIC_PEER_PLUGIN_MODULE: $crate::__abi::LibHeader = unsafe {
                $crate::__abi::LibHeader::from_constructor::<$crate::PluginMod_Ref>(
                    erased_root_module,
                    $crate::__abi::CheckTypeLayout::Yes,
                )
            };
        };
    };
}

/// The kind bit of an `export_plugin!` key.
#[doc(hidden)]
#[macro_export]
macro_rules! __kind {
    (filter $new:expr) => {
        $crate::manifest::KIND_AUTH_FILTER
    };
    (around $new:expr) => {
        $crate::manifest::KIND_AUTH_FILTER
    };
    (decorator $new:expr) => {
        $crate::manifest::KIND_DECORATOR
    };
    (platform $new:expr) => {
        $crate::manifest::KIND_PLATFORM
    };
    (endorsement $new:expr) => {
        $crate::manifest::KIND_ENDORSEMENT
    };
    (validation $new:expr) => {
        $crate::manifest::KIND_VALIDATION
    };
}

/// A constructor, once its `export_plugin!` key is there.
#[doc(hidden)]
#[macro_export]
macro_rules! __constructor {
    ($function:ident $new:expr) => {
        $crate::__abi::ROption::RSome($function)
    };
}
