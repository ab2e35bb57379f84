//! Deploy and upgrade: a definition comes onto the channel.

use bytes::Bytes;
use chaincode::{InstalledPackage, SccOutcome};
use channelconfig::Bundle;
use committer::{is_valid_name, is_valid_version};
use msp::policy::{SignaturePolicy, signed_by_any_admin, signed_by_any_member};
use prost::Message;
use protos::ChaincodeId;
use protos::common::SignaturePolicyEnvelope;
use protos::peer::{ChaincodeData, ChaincodeDeploymentSpec, ChaincodeEvent, LifecycleEvent};

use super::error::{InstalledError, InstantiationError, LsccError};
use super::{Call, Core, DeployablePlugins, collections, state};
use crate::answer::{success_message, text};

/// The endorsement plugin of definitions that name none.
pub(super) const ENDORSEMENT_PLUGIN: &str = "escc";

/// The validation plugin of definitions that name none.
pub(super) const VALIDATION_PLUGIN: &str = "vscc";

/// The arguments of a deployment, with Fabric's defaults where they are absent or empty.
struct Deployment {
    id: ChaincodeId,
    policy: Bytes,
    endorsement_plugin: String,
    validation_plugin: String,
    collections: Option<Bytes>,
}

impl Core {
    pub(super) fn deploy(&self, call: &Call, upgrade: bool) -> Result<SccOutcome, LsccError> {
        let [_, channel, spec, options @ ..] = call.args.as_slice() else {
            return Err(LsccError::Arguments(call.args.len()));
        };
        let bundle = self.application_channel(&text(channel))?;
        check_capabilities(&bundle, call.args.len())?;
        let deployment = Deployment::new(spec, options, &bundle)?;
        deployment.check_plugins(&*self.plugins)?;
        deployment.check_id()?;
        let package = self.packages.load(&deployment.id).map_err(|error| {
            let error = protos::wire_message(&error);
            tracing::warn!(chaincode = %deployment.id, error, "chaincode package cannot be read");
            InstalledError::Missing(deployment.id.clone())
        })?;
        let data = deployment.data(&package, &bundle);
        if upgrade {
            upgraded(call, &bundle, &data)?
        } else {
            deployed(call, &bundle, &data)?
        }
        state::put(&call.params, &data.name, data.encode_to_vec().into())?;
        deployment.put_collections(call, &bundle, upgrade)?;
        let mut outcome = success_message(&data);
        outcome.event = upgrade.then(|| upgrade_event(&data.name));
        Ok(outcome)
    }

    fn application_channel(&self, name: &str) -> Result<std::sync::Arc<Bundle>, LsccError> {
        if name.is_empty() {
            return Err(LsccError::Refused("invalid channel name: ".into()));
        }
        let bundle = self.channels.get(&name.into()).map(|channel| channel.bundle());
        bundle
            .filter(|bundle| bundle.application().is_some())
            .ok_or_else(|| LsccError::Refused(format!("channel '{name}' has no application configuration")))
    }
}

fn check_capabilities(bundle: &Bundle, args: usize) -> Result<(), LsccError> {
    let capabilities = bundle.application_capabilities();
    if capabilities.lifecycle_v2_0() {
        return Err(LsccError::Refused(format!(
            "Channel '{}' has been migrated to the new lifecycle, LSCC is now read-only",
            bundle.channel()
        )));
    }
    if args > 6 && !capabilities.private_channel_data() {
        return Err(LsccError::Refused(
            "as V1_2 or later capability is not enabled, private channel collections and data are not available"
                .into(),
        ));
    }
    if args > 7 {
        return Err(LsccError::Arguments(args));
    }
    Ok(())
}

impl Deployment {
    fn new(spec: &Bytes, options: &[Bytes], bundle: &Bundle) -> Result<Self, LsccError> {
        let spec = ChaincodeDeploymentSpec::decode(spec.clone()).map_err(|error| {
            LsccError::Refused(format!("error unmarshalling ChaincodeDeploymentSpec: {error}"))
        })?;
        let id = spec
            .chaincode_spec
            .and_then(|spec| spec.chaincode_id)
            .unwrap_or_default();
        let given = |index: usize| options.get(index).filter(|option| !option.is_empty());
        let plugin = |index, default: &str| given(index).map_or_else(|| default.to_owned(), text);
        Ok(Self {
            id: ChaincodeId::new(&id.name, &id.version),
            policy: given(0)
                .cloned()
                .unwrap_or_else(|| encoded(bundle, signed_by_any_member)),
            endorsement_plugin: plugin(1, ENDORSEMENT_PLUGIN),
            validation_plugin: plugin(2, VALIDATION_PLUGIN),
            collections: options.get(3).cloned(),
        })
    }

    /// Refuses plugins that this peer does not have, as Fabric 1.1 does: it could not endorse with such a definition, and
    /// a validation plugin that is missing stops the channel. Fabric 1.4 finds that out only then.
    fn check_plugins(&self, plugins: &dyn DeployablePlugins) -> Result<(), LsccError> {
        let refused = |name: &str, kind: &str| {
            Err(LsccError::Refused(format!(
                "{name} is not a valid {kind} system chaincode"
            )))
        };
        if !plugins.endorses(&self.endorsement_plugin) {
            return refused(&self.endorsement_plugin, "endorsement");
        }
        if !plugins.validates(&self.validation_plugin) {
            return refused(&self.validation_plugin, "validation");
        }
        Ok(())
    }

    fn check_id(&self) -> Result<(), LsccError> {
        if !is_valid_name(&self.id.name) {
            return Err(LsccError::name(&self.id.name));
        }
        if !is_valid_version(&self.id.version) {
            return Err(LsccError::version(&self.id.version));
        }
        Ok(())
    }

    /// What is stored: hashes of the installed package, never of what the client sent.
    fn data(&self, package: &InstalledPackage, bundle: &Bundle) -> ChaincodeData {
        let own_policy = package.instantiation_policy().cloned();
        ChaincodeData {
            escc: self.endorsement_plugin.clone(),
            vscc: self.validation_plugin.clone(),
            policy: self.policy.clone(),
            instantiation_policy: own_policy.unwrap_or_else(|| encoded(bundle, signed_by_any_admin)),
            ..package.chaincode_data()
        }
    }

    fn put_collections(&self, call: &Call, bundle: &Bundle, upgrade: bool) -> Result<(), LsccError> {
        let Some(collections) = &self.collections else {
            return Ok(());
        };
        if upgrade && !bundle.application_capabilities().collection_upgrade() {
            return Err(LsccError::Refused(
                "as V1_2 capability is not enabled, collection upgrades are not allowed".into(),
            ));
        }
        if collections.is_empty() {
            return Ok(());
        }
        collections::check(collections, &self.id, bundle)?;
        Ok(state::put(
            &call.params,
            &collections::key(&self.id.name),
            collections.clone(),
        )?)
    }
}

fn deployed(call: &Call, bundle: &Bundle, data: &ChaincodeData) -> Result<(), LsccError> {
    if state::get(&call.params, &data.name)?.is_some() {
        return Err(LsccError::exists(&data.name));
    }
    satisfied(call, bundle, &data.instantiation_policy)
}

fn upgraded(call: &Call, bundle: &Bundle, data: &ChaincodeData) -> Result<(), LsccError> {
    let stored = state::definition(&call.params, &data.name)?;
    if stored.version == data.version {
        return Err(LsccError::same_version(&data.name));
    }
    if stored.instantiation_policy.is_empty() {
        return Err(InstantiationError::Missing.into());
    }
    satisfied(call, bundle, &stored.instantiation_policy)?;
    satisfied(call, bundle, &data.instantiation_policy)
}

/// Checks that the proposal's creator satisfies an instantiation policy.
fn satisfied(call: &Call, bundle: &Bundle, policy: &Bytes) -> Result<(), LsccError> {
    let policy = SignaturePolicy::from_bytes(policy.clone()).map_err(InstantiationError::Malformed)?;
    let evaluated = policy.evaluate(std::slice::from_ref(&call.asker.signed), bundle.msp_manager());
    Ok(evaluated.map_err(InstantiationError::Violated)?)
}

fn encoded(bundle: &Bundle, policy: impl Fn(&[&str]) -> SignaturePolicyEnvelope) -> Bytes {
    let ids = bundle.application_org_msp_ids();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    policy(&ids).encode_to_vec().into()
}

fn upgrade_event(name: &str) -> ChaincodeEvent {
    ChaincodeEvent {
        event_name: "upgrade".into(),
        payload: LifecycleEvent {
            chaincode_name: name.into(),
        }
        .encode_to_vec()
        .into(),
        ..Default::default()
    }
}
