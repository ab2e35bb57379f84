//! Questions to LSCC: one chaincode, all of a channel, all that are installed.

use bytes::Bytes;
use chaincode::SccOutcome;
use channelconfig::AclError;
use prost::Message;
use protos::peer::{ChaincodeData, ChaincodeInfo, ChaincodeInput, ChaincodeQueryResponse};
use protos::{ChaincodeId, ChannelId, wire_message};

use super::error::{InstalledError, LsccError};
use super::{Call, Core, collections, state};
use crate::answer::{success, success_message, text};

impl Core {
    /// `getid`.
    pub(super) fn chaincode_exists(&self, call: &Call) -> Result<SccOutcome, LsccError> {
        let name = self.asked_for(call, "lscc/ChaincodeExists")?;
        Ok(success(state::definition(&call.params, &name)?.name))
    }

    /// `getccdata`.
    pub(super) fn chaincode_data(&self, call: &Call) -> Result<SccOutcome, LsccError> {
        let name = self.asked_for(call, "lscc/GetChaincodeData")?;
        Ok(success(state::definition_bytes(&call.params, &name)?))
    }

    /// `getdepspec`.
    pub(super) fn deployment_spec(&self, call: &Call) -> Result<SccOutcome, LsccError> {
        let name = self.asked_for(call, "lscc/GetDeploymentSpec")?;
        let data = state::definition(&call.params, &name)?;
        let id = ChaincodeId::new(&data.name, &data.version);
        let package = self.packages.load(&id).map_err(InstalledError::Unreadable)?;
        self.packages.check(&data).map_err(InstalledError::Mismatch)?;
        Ok(success(package.deployment_spec_bytes().clone()))
    }

    /// The chaincode's name, once the arguments and the right to ask are checked.
    fn asked_for(&self, call: &Call, resource: &str) -> Result<String, LsccError> {
        let [_, channel, name] = call.args.as_slice() else {
            return Err(LsccError::Arguments(call.args.len()));
        };
        self.check_channel_acl(call, resource, &text(channel))?;
        Ok(text(name))
    }

    /// `GetCollectionsConfig`.
    pub(super) fn collections_config(&self, call: &Call) -> Result<SccOutcome, LsccError> {
        let [_, name] = call.args.as_slice() else {
            return Err(LsccError::Arguments(call.args.len()));
        };
        let name = text(name);
        self.check_acl(call, "lscc/GetCollectionsConfig", &call.params.channel)
            .map_err(|reason| denied(call, String::new(), &reason))?;
        let stored = state::get(&call.params, &collections::key(&name))?;
        let stored = stored.filter(|stored| !stored.is_empty());
        let missing = || LsccError::Refused(format!("collections config not defined for chaincode {name}"));
        stored.map(success).ok_or_else(missing)
    }

    /// `getchaincodes`.
    pub(super) fn chaincodes(&self, call: &Call) -> Result<SccOutcome, LsccError> {
        let channel = call.params.channel.as_str();
        check_alone(call)?;
        self.check_channel_acl(call, "lscc/GetInstantiatedChaincodes", channel)?;
        let mut chaincodes = Vec::new();
        for (key, value) in state::scan(&call.params)? {
            if collections::is_key(&key) {
                continue;
            }
            let data = ChaincodeData::decode(value).map_err(|error| LsccError::Refused(error.to_string()))?;
            chaincodes.push(self.instantiated(data));
        }
        Ok(success_message(&ChaincodeQueryResponse { chaincodes }))
    }

    /// Path and input are known only where the package is installed.
    fn instantiated(&self, data: ChaincodeData) -> ChaincodeInfo {
        let package = self
            .packages
            .load(&ChaincodeId::new(&data.name, &data.version))
            .ok();
        let spec = package
            .as_ref()
            .and_then(|package| package.deployment_spec().chaincode_spec.as_ref());
        let input = spec.and_then(|spec| spec.input.as_ref());
        ChaincodeInfo {
            path: package
                .as_ref()
                .map(|package| package.path().to_owned())
                .unwrap_or_default(),
            input: input.map(go_text).unwrap_or_default(),
            name: data.name,
            version: data.version,
            escc: data.escc,
            vscc: data.vscc,
            id: Bytes::new(),
        }
    }

    /// `getinstalledchaincodes`.
    pub(super) fn installed_chaincodes(&self, call: &Call) -> Result<SccOutcome, LsccError> {
        check_alone(call)?;
        self.check_local_acl(call, "lscc/GetInstalledChaincodes")?;
        let listed = self.packages.list();
        let listed = listed.map_err(|error| LsccError::Refused(wire_message(&error)))?;
        let chaincodes = listed.iter().map(|info| ChaincodeInfo {
            name: info.data.name.clone(),
            version: info.data.version.clone(),
            path: info.path.clone(),
            id: info.data.id.clone(),
            ..Default::default()
        });
        Ok(success_message(&ChaincodeQueryResponse {
            chaincodes: chaincodes.collect(),
        }))
    }

    fn check_channel_acl(&self, call: &Call, resource: &str, channel: &str) -> Result<(), LsccError> {
        let checked = self.check_acl(call, resource, &channel.into());
        checked.map_err(|reason| denied(call, format!("[{channel}]"), &reason))
    }

    fn check_acl(&self, call: &Call, resource: &str, channel: &ChannelId) -> Result<(), AclError> {
        let named = Some(channel).filter(|channel| !channel.is_empty());
        self.channels.check_acl(resource, named, &call.asker.signed)
    }

    pub(super) fn check_local_acl(&self, call: &Call, resource: &str) -> Result<(), LsccError> {
        let checked = self.channels.check_acl(resource, None, &call.asker.signed);
        checked.map_err(|reason| denied(call, String::new(), &reason))
    }
}

fn check_alone(call: &Call) -> Result<(), LsccError> {
    match call.args.as_slice() {
        [_] => Ok(()),
        args => Err(LsccError::Arguments(args.len())),
    }
}

fn denied(call: &Call, channel: String, reason: &AclError) -> LsccError {
    LsccError::Denied {
        function: call.function.clone(),
        channel,
        reason: wire_message(reason),
    }
}

/// An input as Go prints it; clients only show it.
fn go_text(input: &ChaincodeInput) -> String {
    let args = input.args.iter().map(|arg| format!("args:\"{}\"", escaped(arg)));
    args.collect::<Vec<_>>().join(" ")
}

fn escaped(bytes: &[u8]) -> String {
    let escape = |byte: &u8| match byte {
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        b'"' => "\\\"".to_owned(),
        b'\\' => "\\\\".to_owned(),
        printable @ 0x20..0x7f => char::from(*printable).to_string(),
        other => format!("\\{other:03o}"),
    };
    bytes.iter().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_reads_as_in_go() {
        let input = ChaincodeInput {
            args: vec!["init".into(), "a\"b\\\n".into(), vec![0, 0xff].into()],
            ..Default::default()
        };
        assert_eq!(go_text(&input), r#"args:"init" args:"a\"b\\\n" args:"\000\377""#);
    }
}
